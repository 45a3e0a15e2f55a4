import type { GangAhead, Prelude, PrepareGang } from './contract.js'
import { isDelivered } from './delivered.js'
import { needsOf } from './needs.js'
import { RELAYED } from './store.js'
import { defaultTimeouts } from './timeouts.js'

/** What the members of an attempt are told first: alike when they are started ahead of need and when they are not. */
export function preludeOf(ahead: GangAhead): Prelude {
  const { backend, request, datastore, compiled, env } = ahead
  const { file, bundle, core } = compiled
  const body = { compiled: { file, bundle, core }, env, needs: needsOf(request.step) }
  return {
    transport: backend.transport ?? 'unix',
    address: request.address,
    datastore: backend.datastore === 'relayed' ? RELAYED : datastore.location,
    timeouts: { ...defaultTimeouts, ...ahead.timeouts },
    ...(isDelivered(backend) ? {} : { body }),
  }
}

/** Their secret is drawn when the attempt begins: until then they have nothing, and know nobody. */
export const prepareGang: PrepareGang = async (ahead) => {
  const { backend, request } = ahead
  return backend.prepare?.(backend.plan(request), preludeOf(ahead))
}
