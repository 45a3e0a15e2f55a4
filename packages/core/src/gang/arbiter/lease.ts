import { setTimeout as pause } from 'node:timers/promises'
import type { Datastore } from '../../datastore/contract.js'
import { type AttemptAddress, keys } from '../../datastore/records.js'

/**
 * A control's sign of life in the datastore, under its own epoch's name: an old control's touches no later one. A
 * reader compares no clocks: the lease has expired when the record did not change for a lease of the reader's own time.
 */
export interface DatastoreLease {
  /** Beats until it is ended; the first beat is there when the promise settles. */
  keep(epoch: number): Promise<() => void>
  /** Settles when that epoch's lease has expired. */
  expired(epoch: number, signal?: AbortSignal): Promise<void>
}

export function datastoreLease(
  store: Datastore,
  address: AttemptAddress,
  { leaseMs, me }: { readonly leaseMs: number; readonly me: string },
): DatastoreLease {
  return {
    async keep(epoch) {
      let n = 0
      const beat = () => store.putRecord(keys.epochBeat(address, epoch), { by: me, n: n++ }, { durable: false })
      await beat()
      let busy = false
      const timer = setInterval(() => {
        if (busy) return
        busy = true
        // A beat that fails is one that is missed: that is for the readers to see.
        void beat()
          .catch(() => {})
          .finally(() => {
            busy = false
          })
      }, leaseMs / 5)
      timer.unref()
      return () => clearInterval(timer)
    },
    async expired(epoch, signal) {
      const read = async () => JSON.stringify((await store.readRecord(keys.epochBeat(address, epoch))) ?? null)
      let seen = await read()
      let since = performance.now()
      let looked = since
      while (performance.now() - since <= leaseMs) {
        await pause(leaseMs / 10, undefined, signal ? { signal } : {})
        const beat = await read()
        const now = performance.now()
        // Whoever itself stood still for half a lease grants a full one (D4).
        if (beat !== seen || now - looked > leaseMs / 2) since = now
        seen = beat
        looked = now
      }
    },
  }
}
