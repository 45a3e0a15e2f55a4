import type { StopReason } from '../body/contract.js'
import type { Datastore } from '../datastore/contract.js'
import { keys, type OwnerRecord, type RunEndRecord } from '../datastore/records.js'
import { GangflowError } from '../errors/base.js'
import { FAILURE_GRACE_MS } from './control.js'
import type { JobRecord, LaunchRecord } from './job-record.js'
import { json } from './run-record.js'

/** What an owner has decided: a claim of the run, tasks for the engine, that all is to end, how the run has ended. */
export type Decision =
  | { readonly kind: 'owner'; readonly launch: LaunchRecord }
  | ({ readonly kind: 'jobs' } & JobRecord)
  | { readonly kind: 'stop'; readonly reason: StopReason; readonly end: Omit<RunEndRecord, 'endedAt'> }
  | { readonly kind: 'end'; readonly end: RunEndRecord }

/** `name` is its place in the order. */
export type JournalEntry = Decision & { readonly owner: number; readonly name: string }

const nameOf = (place: number): string => String(place).padStart(6, '0')

/**
 * The decisions of a run's owners, each created under the next number if that is absent. An owner passes every number by creating
 * its entry or by reading another's, so none gets past the claim of a later owner: its next decision is refused, however long it slept.
 */
export class Journal {
  #next: number
  #last: Promise<unknown> = Promise.resolve()

  /** @param owner the number of the owner who decides. */
  constructor(
    private readonly datastore: Datastore,
    private readonly flow: string,
    private readonly run: string,
    readonly owner: number,
    next = 1,
  ) {
    this.#next = next
  }

  /** Its name, once it is decided: one after the other, without a gap. Throws `E_RUN_TAKEN_OVER`. */
  append(decision: Decision): Promise<string> {
    const appended = this.#last.then(() => this.#append(decision))
    this.#last = appended.catch(() => {})
    return appended
  }

  /** Throws `E_RUN_TAKEN_OVER` where somebody has taken the run over. */
  async check(): Promise<void> {
    const later = await this.datastore.readRecord(keys.owner(this.flow, this.run, this.owner + 1))
    if (later !== undefined) throw await takenOver(this.datastore, this.flow, this.run)
  }

  /** Every entry that counts: what an owner wrote after a later one's claim does not. Call after a claim. */
  async read(): Promise<JournalEntry[]> {
    const entries: JournalEntry[] = []
    let leads = 0
    for (let place = 1; place < this.#next; place += 1) {
      const name = nameOf(place)
      const entry = (await this.#read(name)) as JournalEntry | undefined
      if (entry === undefined || entry.owner < leads) continue
      leads = Math.max(leads, entry.owner)
      entries.push({ ...entry, name })
    }
    return entries
  }

  async #append(decision: Decision): Promise<string> {
    for (;;) {
      const name = nameOf(this.#next)
      const entry = json({ ...decision, owner: this.owner })
      if (await this.datastore.createRecord(keys.job(this.flow, this.run, name), entry)) {
        this.#next += 1
        return name
      }
      const there = (await this.#read(name)) as JournalEntry | undefined
      if ((there?.owner ?? 0) > this.owner) throw await takenOver(this.datastore, this.flow, this.run)
      this.#next += 1
    }
  }

  #read(name: string): Promise<unknown> {
    return this.datastore.readRecord(keys.job(this.flow, this.run, name))
  }
}

/**
 * What a job learns of its run's end without its engine, whose own word may not come: from the journal, from the entry by
 * which the job was handed over on.
 */
export class DecidedEnd {
  #place: number
  #leads = 0

  constructor(
    private readonly datastore: Datastore,
    private readonly flow: string,
    private readonly run: string,
    job: string,
  ) {
    this.#place = Number(job)
  }

  /** Why all is to end, once an owner has decided so. */
  async look(): Promise<StopReason | undefined> {
    for (; ; this.#place += 1) {
      const key = keys.job(this.flow, this.run, nameOf(this.#place))
      const entry = (await this.datastore.readRecord(key)) as unknown as JournalEntry | undefined
      if (entry === undefined) return undefined
      if (entry.owner < this.#leads) continue
      this.#leads = entry.owner
      if (entry.kind === 'stop') return entry.reason
      if (entry.kind === 'end') return { cause: 'cancelled', why: 'its run has ended', graceMs: FAILURE_GRACE_MS }
    }
  }
}

/** The number of a run's owner, and who it is; 0 where there is none. */
export async function ownerNow(
  datastore: Datastore,
  flow: string,
  run: string,
): Promise<{ readonly number: number; readonly owner?: OwnerRecord }> {
  let number = Number((await datastore.listChildren(keys.owners(flow, run))).at(-1) ?? 0)
  // A listing may be older than a record.
  for (let owner: OwnerRecord | undefined, next: unknown; ; number += 1) {
    owner = number === 0 ? undefined : await readOwner(datastore, flow, run, number)
    next = await readOwner(datastore, flow, run, number + 1)
    if (next === undefined) return owner ? { number, owner } : { number }
  }
}

const readOwner = async (datastore: Datastore, flow: string, run: string, number: number) =>
  (await datastore.readRecord(keys.owner(flow, run, number))) as unknown as OwnerRecord | undefined

const CODE = 'E_RUN_TAKEN_OVER'

/** Whether an error says that somebody else leads the run now. */
export const isTakenOver = (error: unknown): error is GangflowError => GangflowError.is(error) && error.code === CODE

async function takenOver(datastore: Datastore, flow: string, run: string): Promise<GangflowError> {
  const { owner } = await ownerNow(datastore, flow, run)
  return new GangflowError({
    code: CODE,
    what: `run ${flow}/${run} was taken over${owner ? ` by process ${owner.pid} on ${owner.host}, at ${clock(owner.at)}` : ''}`,
    fix: 'nothing is lost: its jobs go on under that launcher, and this one has left them alone',
    details: { ...(owner ? { owner } : {}) },
  })
}

/** Of that host's clock, for people. */
export const clock = (at: number): string => new Date(at).toISOString().replace('T', ' ').slice(0, 19).concat(' UTC')
