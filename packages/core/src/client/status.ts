import { ownerState } from '../datastore/owner.js'
import { keys, type OwnerRecord, type RunEndRecord, type RunStatus } from '../datastore/records.js'
import { readSync, type View } from './view.js'

/** The process that owns a run: the one of the highest number. */
export function ownerOf(view: View, flow: string, run: string): OwnerRecord | undefined {
  const last = view.store.listChildrenSync(keys.owners(flow, run)).at(-1)
  return last === undefined ? undefined : readSync<OwnerRecord>(view, `${keys.owners(flow, run)}/${last}`)
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
