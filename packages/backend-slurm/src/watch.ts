import type { JobEnd } from '@gangflow/core/backend'
import { type CommandEnd, said, slurmCommand } from './command.js'
import {
  accountingFormat,
  type JobRow,
  parseAccounting,
  parsePlaces,
  parseQueue,
  queueFormat,
  waitingFormat,
} from './parse.js'
import { doing, endOf, isEnd, isLate, isPassing, mayReturn } from './states.js'

/** Milliseconds before the first question about a job: many end soon after. */
const FIRST_MS = 300
const SLOWEST_MS = 5_000
/** And for each job that is asked about: an answer about hundreds takes the controller a while, and jobs tell of their ends themselves. */
const EACH_MS = 5
/** Questions for which many jobs are no reason to wait, once something was done to them. */
const HURRY = 10
/** Milliseconds between two questions about the whole queue, which others have filled. */
const PLACES_MS = 15_000
/** Questions in a row after which an answer that may not be the last is taken for it, and accounting is asked about whom nobody knows. */
const DOUBTS = 3
/** And after which accounting is not waited for either: it may be late, or keep jobs that a controller has lost. */
const LOST = 20

interface Watched {
  readonly id: string
  readonly ended: (end: JobEnd) => void
  readonly note: (text: string) => void
  told: string
  /** Questions in a row to which its answer was an end that may not be one, or none. */
  doubts: number
  restarts: number
  /** Why it still waits, past its deadline: it is being taken out of the queue. */
  late?: string | undefined
}

/** Watches all jobs of a run with one question at a time: their states, and why they wait. */
export class Watch {
  readonly #jobs = new Map<string, Watched>()
  /** What was told of the elements of an array that wait. */
  readonly #arrays = new Map<string, Set<string>>()
  readonly #everyMs: number
  #timer: NodeJS.Timeout | undefined
  #quiet = 0
  #hurry = 0
  #asking = false
  #closed = false
  #questions = new AbortController()
  #places: ReadonlyMap<string, number> = new Map()
  #placesAt = Number.NEGATIVE_INFINITY
  #placesOf = ''

  constructor(pollSeconds = 1) {
    this.#everyMs = pollSeconds * 1_000
  }

  add(id: string, note: (text: string) => void): Promise<JobEnd> {
    return new Promise((resolve) => {
      this.#jobs.set(id, { id, ended: resolve, note, told: '', doubts: 0, restarts: 0 })
      this.#quiet = 0
      this.#wake(FIRST_MS)
    })
  }

  /** Nobody wants to know of it any more. */
  forget(id: string): void {
    this.#jobs.delete(id)
    if (this.#jobs.size === 0) this.#rest()
  }

  /** Asks soon: something was done that changes what Slurm says. */
  soon(): void {
    this.#quiet = 0
    this.#hurry = HURRY
    this.#wake(FIRST_MS)
  }

  close(): void {
    this.#closed = true
    this.#rest()
  }

  /** An answer that nobody wants may be long in coming. */
  #rest(): void {
    clearTimeout(this.#timer)
    this.#questions.abort()
    this.#questions = new AbortController()
  }

  #wake(ms: number): void {
    if (this.#asking || this.#closed) return
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => void this.#ask(), ms)
  }

  async #ask(): Promise<void> {
    this.#asking = true
    let failed = false
    const { signal } = this.#questions
    try {
      const changed = await this.#look()
      this.#quiet = changed ? 0 : this.#quiet + 1
    } catch {
      failed = !signal.aborted
    }
    this.#asking = false
    if (this.#jobs.size === 0) return
    const slower = Math.max(this.#everyMs * (this.#quiet / 10), this.#hurry > 0 ? 0 : EACH_MS * this.#jobs.size)
    this.#hurry -= 1
    this.#wake(failed ? SLOWEST_MS : Math.max(this.#everyMs, Math.min(SLOWEST_MS, slower)))
  }

  #question(argv: readonly string[]): Promise<CommandEnd> {
    return slurmCommand(argv, '', this.#questions.signal)
  }

  /** One question for all; true when something was new. */
  async #look(): Promise<boolean> {
    const jobs = [...new Set([...this.#jobs.keys()].map((id) => id.split('_')[0]))]
    const answer = await this.#question([
      'squeue',
      '-h',
      '-r',
      '-t',
      'all',
      `--jobs=${jobs.join(',')}`,
      '-O',
      queueFormat,
    ])
    const unknown = answer.code !== 0 && /Invalid job id/i.test(answer.stderr)
    if (answer.code !== 0 && !unknown) {
      for (const job of this.#jobs.values()) this.#tell(job, `Slurm does not answer: ${said(answer)}`)
      return false
    }
    const rows = new Map(parseQueue(answer.stdout).map((row) => [row.id, row]))
    await this.#askPlaces([...rows.values()].filter(inQueue))
    let changed = false
    for (const job of [...this.#jobs.values()]) {
      const row = rows.get(job.id)
      if (row) changed = this.#judge(job, row) || changed
      else job.doubts += 1
    }
    const late = [...this.#jobs.values()].flatMap(({ id, late }) => (late === undefined ? [] : [id]))
    if (late.length > 0) await this.#question(['scancel', ...late])
    return (await this.#account()) || changed
  }

  #judge(job: Watched, row: JobRow): boolean {
    if (isEnd(row.state)) {
      job.doubts += 1
      if (!mayReturn(row.state) || job.doubts >= DOUBTS) this.#end(job, row)
      return true
    }
    job.doubts = 0
    if (row.restarts > job.restarts) this.#tell(job, `its job was put back into the queue (start ${row.restarts + 1})`)
    job.restarts = row.restarts
    if (isPassing(row.state)) return true
    job.late = isLate(row, Date.now()) ? row.reason : undefined
    if (job.late !== undefined) return true
    const [array, element] = job.id.split('_') as [string, string?]
    const ahead = inQueue(row) ? this.#places.get(array) : undefined
    if (row.state !== 'PENDING' || element === undefined) return this.#tell(job, doing(row, ahead))
    return this.#tellOnce(
      array,
      job,
      `${doing({ ...row, start: '' }, ahead)}, and so does what else is left of its array`,
    )
  }

  /** What holds for hundreds of elements is told of one. */
  #tellOnce(array: string, job: Watched, text: string): boolean {
    const told = this.#arrays.get(array) ?? new Set()
    this.#arrays.set(array, told)
    if (told.has(text)) return false
    told.add(text)
    return this.#tell(job, text)
  }

  /** Those that the controller has forgotten, all at once: what was accounted of them. True while there are any. */
  async #account(): Promise<boolean> {
    const forgotten = [...this.#jobs.values()].filter(({ doubts }) => doubts > 0)
    const due = forgotten.filter(({ doubts }) => doubts >= DOUBTS)
    if (due.length === 0) return forgotten.length > 0
    const ids = due.map(({ id }) => id).join(',')
    const answer = await this.#question([
      'sacct',
      '-X',
      '-P',
      '-n',
      `--jobs=${ids}`,
      `--format=${accountingFormat}`,
    ]).catch(() => undefined)
    if (this.#closed) return false
    const rows = new Map(parseAccounting(answer?.stdout ?? '').map((row) => [row.id, row]))
    const none = answer === undefined || /accounting storage is disabled/i.test(answer.stderr)
    for (const job of due) {
      const row = rows.get(job.id)
      if (row && isEnd(row.state)) this.#end(job, row)
      else if (none || job.doubts >= LOST) this.#end(job, { state: 'UNKNOWN' })
      else this.#tell(job, 'its job is not known to the controller any more, and accounting has no end of it yet')
    }
    return true
  }

  #end(job: Watched, row: Parameters<typeof endOf>[0]): void {
    this.#jobs.delete(job.id)
    const late = job.late !== undefined && row.state === 'CANCELLED'
    job.ended(late ? endOf({ ...row, state: 'DEADLINE', reason: job.late! }) : endOf(row))
  }

  /** Where jobs are in the queue; a site may hide those of others, or have no answer. */
  async #askPlaces(waiting: readonly JobRow[]): Promise<void> {
    if (waiting.length === 0) return
    // Where nothing is new of them, nothing much has moved; the elements of an array are one place.
    const about = JSON.stringify([
      ...new Set(waiting.map(({ id, reason, start }) => `${id.split('_')[0]} ${reason} ${start}`)),
    ])
    if (about === this.#placesOf && performance.now() - this.#placesAt < PLACES_MS) return
    this.#placesOf = about
    this.#placesAt = performance.now()
    const answer = await this.#question(['squeue', '-h', '-t', 'PENDING', '-O', waitingFormat])
    this.#places = answer.code === 0 ? parsePlaces(answer.stdout) : new Map()
  }

  /** A start that is expected a little later each time is no news. */
  #tell(job: Watched, text: string): boolean {
    const news = text.replace(/:\d\d$/, '')
    if (job.told === news) return false
    job.told = news
    job.note(text)
    return true
  }
}

/** One job, as the controller has it now; undefined where it has none, or does not answer. */
export async function rowOf(id: string): Promise<JobRow | undefined> {
  const answer = await slurmCommand(['squeue', '-h', '-r', '-t', 'all', `--jobs=${id}`, '-O', queueFormat])
  return answer.code === 0 ? parseQueue(answer.stdout)[0] : undefined
}

/** It waits for its turn, not for something of its own. */
const inQueue = ({ state, reason }: JobRow): boolean => state === 'PENDING' && /^(Priority|Resources)/.test(reason)
