import type { Datastore } from '../datastore/contract.js'
import { keys, type SeenRecord } from '../datastore/records.js'
import { json } from './run-record.js'

export interface SeenOptions {
  readonly flow: string
  readonly run: string
  /** The number of the owner. Default 1. */
  readonly owner?: number
  /** Milliseconds between two signs of life. Default 30 s. */
  readonly everyMs?: number
  /** Asked before each: rejects where the run has another owner. */
  check?(): Promise<void>
  /** Told of what `check` rejected with. */
  lost?(error: unknown): void
}

/** Leaves a sign of life of the run's owner now and then, for readers on other hosts. Returns how to end it. */
export function keepSeen(
  datastore: Datastore,
  { flow, run, owner = 1, everyMs = 30_000, check, lost }: SeenOptions,
): () => void {
  let ended = false
  const tell = async () => {
    try {
      await check?.()
    } catch (error) {
      if (!ended) lost?.(error)
      return
    }
    const seen: SeenRecord = { at: Date.now(), everyMs }
    // A datastore that takes nothing is told by what the run itself writes.
    if (!ended) await datastore.putRecord(keys.seen(flow, run, owner), json(seen), { durable: false }).catch(() => {})
  }
  const timer = setInterval(() => void tell(), everyMs)
  timer.unref()
  return () => {
    ended = true
    clearInterval(timer)
  }
}
