import type { GangBackend } from '../gang/contract.js'

/** A backend that is loaded once something of it is asked for, for a process that seldom has need of one. */
export function whenNeeded(name: string, load: () => Promise<GangBackend>): GangBackend {
  let loading: Promise<GangBackend> | undefined
  const loaded = () => {
    loading ??= load()
    return loading
  }
  return {
    name,
    plan: (request) => request,
    start: async (request, ...rest) => {
      const backend = await loaded()
      return await backend.start(backend.plan(request as Parameters<GangBackend['plan']>[0]), ...rest)
    },
    warned: async (step) => await (await loaded()).warned?.(step),
    putBack: async (step, atLimit) => (await (await loaded()).putBack?.(step, atLimit)) ?? false,
  }
}
