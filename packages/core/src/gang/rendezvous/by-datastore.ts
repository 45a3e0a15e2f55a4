import { setTimeout as pause } from 'node:timers/promises'
import type { Datastore } from '../../datastore/contract.js'
import { type AttemptAddress, keys } from '../../datastore/records.js'
import type { Rendezvous } from './contract.js'

/** Milliseconds between two looks, doubled from the first to the last: N members read N times a second at most. */
const FIRST_MS = 50
const LAST_MS = 1_000

/**
 * Whoever is first to write its address under the next version's name takes the members in; one that has died is followed
 * by another version. What is written is no secret: who answers there must prove that it knows the gang's.
 */
export function datastoreRendezvous(store: Datastore, address: AttemptAddress): Rendezvous {
  let version = 0
  let known: string | undefined
  /** The latest version; they have no gaps. */
  const read = async (): Promise<string | undefined> => {
    for (;;) {
      const record = (await store.readRecord(keys.rendezvous(address, version + 1))) as { address: string } | undefined
      if (!record) return known
      version += 1
      known = record.address
    }
  }
  return {
    kind: 'datastore',
    async host(own, notAt) {
      for (;;) {
        const there = await read()
        if (there !== undefined && there !== notAt) return there === own ? undefined : there
        await store.createRecord(keys.rendezvous(address, version + 1), { address: own })
      }
    },
    async find({ signal, notAt }) {
      for (let wait = FIRST_MS; ; wait = Math.min(wait * 2, LAST_MS)) {
        signal.throwIfAborted()
        const there = await read()
        if (there !== undefined && there !== notAt) return there
        await pause(wait, undefined, { signal }).catch(() => signal.throwIfAborted())
      }
    },
  }
}
