import { ownerState } from '../datastore/owner.js'
import {
  keys,
  type LeftRecord,
  type OwnerRecord,
  type RunEndRecord,
  type RunStatus,
  type SeenRecord,
} from '../datastore/records.js'
import { readSync, type View } from './view.js'

/** The process that owns a run: the one of the highest number. */
export function ownerOf(view: View, flow: string, run: string): OwnerRecord | undefined {
  const number = ownerNumber(view, flow, run)
  return number === 0 ? undefined : readSync<OwnerRecord>(view, keys.owner(flow, run, number))
}

const ownerNumber = (view: View, flow: string, run: string): number =>
  Number(view.store.listChildrenSync(keys.owners(flow, run)).at(-1) ?? 0)

/** Whether its owner has left it to its jobs. */
const isLeft = (view: View, flow: string, run: string): boolean =>
  readSync<LeftRecord>(view, keys.left(flow, run, ownerNumber(view, flow, run))) !== undefined

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
  if (owner === undefined || ownerState(owner) !== 'unknown' || isLeft(view, flow, run)) return undefined
  const seen = readSync<SeenRecord>(view, keys.seen(flow, run, ownerNumber(view, flow, run)))
  return { host: owner.host, lastSeenAt: new Date(Math.max(owner.at, seen?.at ?? 0)) }
}

/**
 * How a run stands. `detached`: its owner has left it to its jobs. `lost`: its owner died on this host and left no end.
 * The owner of another host is believed to live.
 */
export function runStatus(view: View, flow: string, run: string): RunStatus {
  const ended = () => readSync<RunEndRecord>(view, keys.end(flow, run))?.status
  const end = ended()
  if (end !== undefined) return end
  const owner = ownerOf(view, flow, run)
  if (owner !== undefined && isLeft(view, flow, run)) return ended() ?? 'detached'
  if (owner !== undefined && ownerState(owner) !== 'dead') return 'running'
  // It may have ended between the two looks.
  return ended() ?? 'lost'
}
