/** Codes of this plugin; docs/reference/errors.md lists the same under `plugin-dask`. */
export const codes = {
  E_DASK_OPTION: 'an option of @dask or current.dask is wrong',
  E_DASK_MISSING: 'the interpreter has no Dask, or there is none',
  E_DASK_START: 'the Dask cluster did not come up',
  E_DASK_NODE: 'the scheduler or a worker ended',
  E_DASK_MEMORY: 'a worker had more memory than its limit',
  E_DASK_SILENT: 'the scheduler or a worker stopped answering',
  E_DASK_CLIENT: 'a client ended with another exit code than 0, or by a signal',
  E_DASK_TIMEOUT: 'a client ran longer than `timeout`',
  E_DASK_AWAIT: 'a step ended while its current.dask.run was still running',
} as const
