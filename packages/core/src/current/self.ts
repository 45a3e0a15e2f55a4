import { AsyncLocalStorage } from 'node:async_hooks'

// On the global object: `@gangflow/core/parallel` loads nothing else of core, and is to find the flow whose step calls it.
const key = Symbol.for('@gangflow/core.flow-self')
const storage = new AsyncLocalStorage<object>()
const shared = globalThis as { [key]?: () => object | undefined }
const before = shared[key]
shared[key] = () => storage.getStore() ?? before?.()

/** Runs a step's method with its flow known to what it calls. */
export function withSelf<T>(flow: object, run: () => T): T {
  return storage.run(flow, run)
}
