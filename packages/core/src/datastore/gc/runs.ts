import type { Datastore } from '../contract.js'
import { ownerState } from '../owner.js'
import { keys, type OwnerRecord, type RunRecord, type TaskRecord } from '../records.js'

export interface RunName {
  readonly flow: string
  readonly run: string
}

export interface SortedRuns {
  readonly doomed: readonly RunName[]
  readonly kept: readonly RunName[]
  /** When the oldest run that may still be writing began, milliseconds since 1970; infinity when none is. */
  readonly livingSince: number
  /** `Flow/run` of those that a living run resumes. */
  readonly resumed: ReadonlySet<string>
}

/** Which runs go: all but the newest `keep` of each flow, those that live, and those whose tasks a kept one took over. */
export async function sortRuns(store: Datastore, keep: number, only?: string): Promise<SortedRuns> {
  const doomed: RunName[] = []
  const kept: RunName[] = []
  const resumed = new Set<string>()
  let livingSince = Number.POSITIVE_INFINITY
  for (const flow of await store.listChildren(keys.flows)) {
    const runs = [...(await store.listChildren(keys.flow(flow)))].sort(newestFirst)
    const stay = new Set<string>()
    let counted = 0
    for (const run of runs) {
      const record = (await store.readRecord(keys.run(flow, run))) as unknown as RunRecord | undefined
      const living = await lives(store, flow, run, record)
      if (living) livingSince = Math.min(livingSince, record?.startedAt ?? Date.now())
      if (living && record?.origin !== undefined) resumed.add(`${flow}/${record.origin.run}`)
      if (living || (only !== undefined && only !== flow) || (record !== undefined && counted < keep)) stay.add(run)
      if (record !== undefined) counted += 1
    }
    for (const run of [...stay]) for (const origin of await origins(store, flow, run)) stay.add(origin)
    for (const run of runs) (stay.has(run) ? kept : doomed).push({ flow, run })
  }
  return { doomed, kept, livingSince, resumed }
}

/** A run without an end whose owner is not known to be dead; one of another host counts as alive, and one that lives in an engine's jobs. */
async function lives(store: Datastore, flow: string, run: string, record: RunRecord | undefined): Promise<boolean> {
  if ((await store.readRecord(keys.end(flow, run))) !== undefined) return false
  if (record?.jobs && (await store.readRecord(keys.relayed(flow, run))) === undefined) return true
  const last = (await store.listRecords(keys.owners(flow, run))).at(-1)
  const owner = last && ((await store.readRecord(last)) as unknown as OwnerRecord | undefined)
  return owner !== undefined && owner !== '' && ownerState(owner) !== 'dead'
}

/** The runs whose tasks this one took over: their logs lie there. */
async function origins(store: Datastore, flow: string, run: string): Promise<Set<string>> {
  const found = new Set<string>()
  const record = (await store.readRecord(keys.run(flow, run))) as unknown as RunRecord | undefined
  if (record?.origin === undefined) return found
  for (const key of await store.listRecords(keys.tasks(flow, run), { depth: 3 })) {
    if (!key.endsWith('/spec')) continue
    const spec = (await store.readRecord(key)) as unknown as TaskRecord | undefined
    if (spec?.origin !== undefined) found.add(spec.origin.run)
  }
  return found
}

const newestFirst = (a: string, b: string): number => Number(b) - Number(a) || (a < b ? 1 : -1)
