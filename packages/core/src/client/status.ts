import { ownerState } from '../datastore/owner.js'
import { keys, type OwnerRecord, type RunEndRecord, type RunStatus, type SeenRecord } from '../datastore/records.js'
import { readSync, type View } from './view.js'

/** The process that owns a run: the one of the highest number. */
export function ownerOf(view: View, flow: string, run: string): OwnerRecord | undefined {
  const last = view.store.listChildrenSync(keys.owners(flow, run)).at(-1)
  return last === undefined ? undefined : readSync<OwnerRecord>(view, `${keys.owners(flow, run)}/${last}`)
}

/** An owner of another host, which cannot be looked at from here, and when it last gave a sign of life. */
export interface Elsewhere {
  readonly host: string
  /** By that host's clock. */
  readonly lastSeenAt: Date
}

/** Where a run runs whose owner is believed to live because nobody here can know; undefined for every other run. */
export function elsewhere(view: View, flow: string, run: string): Elsewhere | undefined {
  if (readSync<RunEndRecord>(view, keys.end(flow, run)) !== undefined) return undefined
  const owner = ownerOf(view, flow, run)
  if (owner === undefined || ownerState(owner) !== 'unknown') return undefined
  const seen = readSync<SeenRecord>(view, keys.seen(flow, run))
  return { host: owner.host, lastSeenAt: new Date(Math.max(owner.at, seen?.at ?? 0)) }
}

/**
 * How a run stands. `lost`: its owner died on this host and left no end. The owner of another host is believed to
 * live.
 */
export function runStatus(view: View, flow: string, run: string): RunStatus {
  const ended = () => readSync<RunEndRecord>(view, keys.end(flow, run))?.status
  const end = ended()
  if (end !== undefined) return end
  const owner = ownerOf(view, flow, run)
  if (owner !== undefined && ownerState(owner) !== 'dead') return 'running'
  // It may have ended between the two looks.
  return ended() ?? 'lost'
}
