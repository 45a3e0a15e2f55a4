import type { Datastore } from '../datastore/contract.js'
import { isStopped, ownerState, thisOwner } from '../datastore/owner.js'
import { keys, type OwnerRecord, type RunEndRecord, type RunRecord, type SeenRecord } from '../datastore/records.js'
import { GangflowError } from '../errors/base.js'
import type { LaunchRecord } from './job-record.js'
import { clock, Journal, type JournalEntry, ownerNow } from './journal.js'
import { json } from './run-record.js'

/** Signs of life that may be missing before an owner counts as dead. */
const LEASE = 4

/** A run that may be taken up. */
export interface Attachable {
  readonly record: RunRecord
  readonly launch: LaunchRecord
}

/** Reads a run that lives in its jobs, not in its launcher. Throws `E_ATTACH_ENDED`, `E_ATTACH_BACKEND` and `E_NOT_FOUND`. */
export async function readAttachable(datastore: Datastore, flow: string, run: string): Promise<Attachable> {
  const read = async <T>(key: string) => (await datastore.readRecord(key)) as unknown as T | undefined
  const record = await read<RunRecord>(keys.run(flow, run))
  if (!record) {
    throw new GangflowError({
      code: 'E_NOT_FOUND',
      what: `there is no run ${flow}/${run} in ${datastore.location}`,
      fix: '`gangflow runs` lists those there are',
    })
  }
  const end = await read<RunEndRecord>(keys.end(flow, run))
  if (end) {
    throw new GangflowError({
      code: 'E_ATTACH_ENDED',
      what: `run ${flow}/${run} has ended: ${end.status}, at ${clock(end.endedAt)}`,
      fix:
        end.status === 'done'
          ? `gangflow logs ${flow}/${run} has its output, gangflow artifacts ${flow}/${run} its results`
          : `gangflow resume ${record.file} --origin ${run} goes on from its finished tasks`,
    })
  }
  const first = await read<JournalEntry>(keys.job(flow, run, '000001'))
  const relayed = await read(keys.relayed(flow, run))
  if (!record.jobs || first?.kind !== 'owner' || relayed) {
    throw new GangflowError({
      code: 'E_ATTACH_BACKEND',
      what: `run ${flow}/${run} cannot be attached to: with backend '${record.backend}'${relayed ? ', on nodes that do not see the datastore,' : ''} its tasks end with their launcher`,
      fix: `gangflow resume ${record.file} --origin ${run} goes on from its finished tasks`,
    })
  }
  return { record, launch: first.launch }
}

export interface TakeUpOptions {
  readonly flow: string
  readonly run: string
  readonly launch: LaunchRecord
  /** Whether its launcher lives does not matter. */
  readonly takeOver?: boolean
  readonly signal: AbortSignal
  /** Told of what is waited for. */
  note(text: string): void
}

/**
 * Makes this process the owner of a run: by creating the next owner's record, then by an entry in the journal, behind which
 * nothing counts that an owner before it decides. Throws `E_RUN_OWNED` while its launcher lives, or where another one was first.
 */
export async function takeUp(
  datastore: Datastore,
  { flow, run, launch, takeOver, signal, note }: TakeUpOptions,
): Promise<{ readonly journal: Journal; readonly entries: readonly JournalEntry[] }> {
  const { number, owner } = await ownerNow(datastore, flow, run)
  if (owner && !takeOver) await refuseLiving(datastore, { flow, run, number, owner, signal, note })
  signal.throwIfAborted()
  const next = number + 1
  if (!(await datastore.createRecord(keys.owner(flow, run, next), json(thisOwner())))) {
    const first = await ownerNow(datastore, flow, run)
    throw led(`${flow}/${run}`, first.owner ?? thisOwner(), 'it has just attached')
  }
  const last = Number((await datastore.listChildren(keys.journal(flow, run))).at(-1) ?? 0)
  const journal = new Journal(datastore, flow, run, next, last + 1)
  await journal.append({ kind: 'owner', launch })
  return { journal, entries: await journal.read() }
}

interface Living extends Pick<TakeUpOptions, 'flow' | 'run' | 'signal' | 'note'> {
  readonly number: number
  readonly owner: OwnerRecord
}

/** By its process where it is of this machine; else by its signs of life, as often as they come by this process's own clock. */
async function refuseLiving(datastore: Datastore, { flow, run, number, owner, signal, note }: Living): Promise<void> {
  const read = async () =>
    (await datastore.readRecord(keys.seen(flow, run, number))) as unknown as SeenRecord | undefined
  const hasLeft = async () => (await datastore.readRecord(keys.left(flow, run, number))) !== undefined
  if (await hasLeft()) return
  const state = ownerState(owner)
  if (state === 'dead') return
  const first = await read()
  if (state === 'alive' && !isStopped(owner.pid))
    throw led(`${flow}/${run}`, owner, `last seen at ${clock(first?.at ?? owner.at)}`)
  const everyMs = first?.everyMs ?? 30_000
  const who = state === 'alive' ? `process ${owner.pid}, which is stopped` : `process ${owner.pid} on ${owner.host}`
  note(`waiting ${Math.ceil((LEASE * everyMs) / 1_000)} s for a sign of life of its launcher: ${who}`)
  for (const until = performance.now() + LEASE * everyMs; performance.now() < until; ) {
    await pause(Math.min(everyMs / 4, 500), signal)
    if (await hasLeft()) return
    const seen = await read()
    if (seen?.at !== first?.at) throw led(`${flow}/${run}`, owner, 'it has just given a sign of life')
  }
}

const led = (run: string, owner: OwnerRecord, how: string) =>
  new GangflowError({
    code: 'E_RUN_OWNED',
    what: `run ${run} is led by process ${owner.pid} on ${owner.host}, since ${clock(owner.at)}; ${how}`,
    fix: 'end that launcher by Ctrl-C and d, which leaves its jobs alone; --take-over takes the run from it all the same',
    host: owner.host,
    details: { owner },
  })

const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    const end = () => {
      clearTimeout(timer)
      reject(signal.reason)
    }
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', end)
      resolve()
    }, ms)
    if (signal.aborted) end()
    else signal.addEventListener('abort', end, { once: true })
  })
