/** Codes of the runtime rooms: `E_NAME: 'one-line meaning'`. */
export const runtimeCodes = {
  E_RUN_GRAPH: "a run's task does not fit the flow's graph",
  E_RUN_OWNED: 'a run that another launcher owns',
  E_RUN_FAULT: 'something in gangflow itself went wrong',
  E_RUN_TIMEOUT: "the run's own limit of time",
  E_RUN_CANCELLED: 'a run that was given up before it began',
  E_TASK_FAILED: 'a task ended without a more exact account',
  E_FLOW_INVALID: 'a flow whose graph has faults',
  E_RESUME_RUN: 'there is no such run to resume',
  E_RESUME_DONE: 'a run of which nothing is left to do',
  E_PARAMETER_FILE: "a parameter's file cannot be read",
  E_TEST_GANG: 'runFlow() met a step that needs processes of its own',
  E_OPTION: 'an option that is unknown or ill-typed',
  E_CONFIG: 'a config file that cannot be read',
  E_BACKEND_UNKNOWN: 'there is no backend of this name',
  E_BACKEND_LOAD: 'a backend whose package cannot be used',
} as const
