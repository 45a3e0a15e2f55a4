import { GangflowError } from '../../errors/base.js'

/** What a pool's `init` threw in a worker. */
export function initFailed(cause: unknown): GangflowError {
  const told = cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause)
  return new GangflowError(
    {
      code: 'E_POOL_INIT',
      what: `init failed in a worker: ${told}`,
      fix: 'it runs once in each worker, before any item; what it throws is the cause',
    },
    { cause },
  )
}
