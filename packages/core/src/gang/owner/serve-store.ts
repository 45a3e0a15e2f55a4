import { keys, type RunRecord } from '../../datastore/records.js'
import { gangScope } from '../../datastore/relay/scope.js'
import { RelayServer } from '../../datastore/relay/server.js'
import type { GangAttempt, GangTimeouts } from '../contract.js'
import { storeSilence } from '../store.js'

/** Serves the datastore to members whose hosts do not have it; nothing where they do. */
export async function serveStore(attempt: GangAttempt, timeouts: GangTimeouts): Promise<RelayServer | undefined> {
  const { backend, datastore, request } = attempt
  if (backend.datastore !== 'relayed') return undefined
  const { flow, run } = request.address
  const record = (await datastore.readRecord(keys.run(flow, run))) as unknown as RunRecord | undefined
  const scope = gangScope(request.address, record?.origin?.run)
  return new RelayServer({ store: datastore, scope, silenceMs: storeSilence(timeouts) })
}
