/** Codes of this plugin; docs/reference/errors.md lists the same under `plugin-ray`. */
export const codes = {
  E_RAY_OPTION: 'an option of @ray or current.ray is wrong',
  E_RAY_PYTHON: 'there is no Python interpreter on the member',
  E_RAY_MISSING: 'the interpreter has no Ray',
  E_RAY_START: 'the Ray cluster did not come up',
  E_RAY_NODE: 'a process of the Ray cluster ended',
  E_RAY_SILENT: 'a Ray node stopped answering',
  E_RAY_DRIVER: 'a driver ended with another exit code than 0, or by a signal',
  E_RAY_TIMEOUT: 'a driver or a job ran longer than `timeout`',
  E_RAY_DASHBOARD: 'current.ray.submit needs the dashboard, and @ray did not ask for it',
  E_RAY_JOB: 'a Ray job failed, was stopped, or could not be submitted',
  E_RAY_AWAIT: 'a step ended while a call of its current.ray was still running',
  E_RAY_STORAGE: 'there is no storage path that all nodes share',
} as const
