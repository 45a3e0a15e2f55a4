import type { RunEvent, RunHandle } from './contract.js'

/**
 * The handle of a run whose engine is still being loaded: `run()` gives it at once, and a process that only imports
 * the index (every body does) loads no engine.
 */
export function deferredHandle(start: () => Promise<RunHandle>, about: { flow: string; command: string }): RunHandle {
  const loading = start()
  loading.catch(() => {})
  let loaded: RunHandle | undefined
  const cancelled: (string | undefined)[] = []
  const result = loading.then((handle) => {
    loaded = handle
    for (const reason of cancelled) handle.cancel(reason)
    return handle.result
  })
  const id = loading.then((handle) => handle.id)
  for (const promise of [result, id]) promise.catch(() => {})
  return {
    get flow() {
      return loaded?.flow ?? about.flow
    },
    command: about.command,
    id,
    result,
    events: {
      async *[Symbol.asyncIterator](): AsyncGenerator<RunEvent, void, undefined> {
        yield* (await loading).events
      },
    },
    cancel: (reason) => (loaded ? loaded.cancel(reason) : void cancelled.push(reason)),
    get detachable() {
      return loaded?.detachable ?? false
    },
    detach: () => loaded?.detach() ?? false,
  }
}
