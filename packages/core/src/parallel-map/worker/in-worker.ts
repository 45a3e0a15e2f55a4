// On the global object, so that this package loaded anew inside a worker knows where it is.
const key = Symbol.for('@gangflow/core.pool-worker')
const holder = globalThis as { [key]?: true }

/** Whether this thread or process is a pool's worker: maps started in it run serially. */
export const inWorker = {
  set: (): void => {
    holder[key] = true
  },
  get: (): boolean => holder[key] === true,
}
