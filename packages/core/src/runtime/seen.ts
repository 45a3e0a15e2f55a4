import type { Datastore } from '../datastore/contract.js'
import { keys, type SeenRecord } from '../datastore/records.js'
import { json } from './run-record.js'

/** Milliseconds between two signs of life. */
const EVERY_MS = 30_000

/** Leaves a sign of life of the run's owner now and then, for readers on other hosts. Returns how to end it. */
export function keepSeen(datastore: Datastore, flow: string, run: string, everyMs = EVERY_MS): () => void {
  const tell = () => {
    const seen: SeenRecord = { at: Date.now() }
    // A datastore that takes nothing is told by what the run itself writes.
    datastore.putRecord(keys.seen(flow, run), json(seen), { durable: false }).catch(() => {})
  }
  const timer = setInterval(tell, everyMs)
  timer.unref()
  return () => clearInterval(timer)
}
