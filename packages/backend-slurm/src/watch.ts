import type { JobEnd } from '@gangflow/core/backend'
import { said, slurmCommand } from './command.js'
import {
  parseAccounting,
  parseDetails,
  parsePlaces,
  parseQueue,
  type QueueRow,
  queueFormat,
  waitingFormat,
} from './parse.js'
import { endOf, isEnd, mayReturn, whyWaiting } from './states.js'

/** Milliseconds before the first question about a job: many end soon after. */
const FIRST_MS = 300
const SLOWEST_MS = 5_000
/** Milliseconds between two questions about the whole queue, which others have filled. */
const PLACES_MS = 15_000

interface Watched {
  readonly id: string
  readonly ended: (end: JobEnd) => void
  readonly note: (text: string) => void
  told: string
  /** Questions in a row to which its answer was an end that may not be one, or none. */
  doubts: number
  restarts: number
}

/** Watches all jobs of a run with one question at a time: their states, and why they wait. */
export class Watch {
  readonly #jobs = new Map<string, Watched>()
  readonly #everyMs: number
  #timer: NodeJS.Timeout | undefined
  #quiet = 0
  #asking = false
  #closed = false
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

  /** Asks soon: something was done that changes what Slurm says. */
  soon(): void {
    this.#quiet = 0
    this.#wake(FIRST_MS)
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
  }

  #wake(ms: number): void {
    if (this.#asking || this.#closed) return
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => void this.#ask(), ms)
  }

  async #ask(): Promise<void> {
    this.#asking = true
    let failed = false
    try {
      const changed = await this.#look()
      this.#quiet = changed ? 0 : this.#quiet + 1
    } catch {
      failed = true
    }
    this.#asking = false
    if (this.#jobs.size === 0) return
    const slower = Math.min(SLOWEST_MS, this.#everyMs * Math.max(1, this.#quiet / 10))
    this.#wake(failed ? SLOWEST_MS : Math.max(this.#everyMs, slower))
  }

  /** One question for all; true when something was new. */
  async #look(): Promise<boolean> {
    const jobs = [...new Set([...this.#jobs.keys()].map((id) => id.split('_')[0]))]
    const answer = await slurmCommand([
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
    for (const job of [...this.#jobs.values()]) changed = (await this.#judge(job, rows.get(job.id))) || changed
    return changed
  }

  async #judge(job: Watched, row: QueueRow | undefined): Promise<boolean> {
    if (row && !isEnd(row.state)) {
      job.doubts = 0
      if (row.restarts > job.restarts)
        this.#tell(job, `its job was put back into the queue (start ${row.restarts + 1})`)
      job.restarts = row.restarts
      // On its way out: what it is to become is told in a moment.
      if (row.state === 'COMPLETING') return true
      const ahead = inQueue(row) ? this.#places.get(job.id.split('_')[0]!) : undefined
      return this.#tell(job, whyWaiting({ ...row, ahead }) ?? `its job ${job.id} runs on ${row.nodes}`)
    }
    job.doubts += 1
    if ((!row || mayReturn(row.state)) && job.doubts < 3) return true
    const details = await detailsOf(job.id)
    if (details && !isEnd(details.state)) return true
    this.#jobs.delete(job.id)
    job.ended(endOf(row?.state ?? details?.state ?? 'UNKNOWN', details))
    return true
  }

  /** Where jobs are in the queue; a site may hide those of others, or have no answer. */
  async #askPlaces(waiting: readonly QueueRow[]): Promise<void> {
    if (waiting.length === 0) return
    // Where nothing is new of them, nothing much has moved.
    const about = JSON.stringify(waiting.map(({ id, reason, start }) => [id, reason, start]))
    if (about === this.#placesOf && performance.now() - this.#placesAt < PLACES_MS) return
    this.#placesOf = about
    this.#placesAt = performance.now()
    const answer = await slurmCommand(['squeue', '-h', '-t', 'PENDING', '-O', waitingFormat])
    this.#places = answer.code === 0 ? parsePlaces(answer.stdout) : new Map()
  }

  #tell(job: Watched, text: string): boolean {
    if (job.told === text) return false
    job.told = text
    job.note(text)
    return true
  }
}

/** What the controller still knows of a job, else what was accounted. */
async function detailsOf(id: string): Promise<ReturnType<typeof parseDetails>> {
  const shown = await slurmCommand(['scontrol', 'show', 'job', '--oneliner', id])
  const known = shown.code === 0 ? parseDetails(shown.stdout) : undefined
  if (known) return known
  const accounted = await slurmCommand(['sacct', '-X', '-P', '-n', '-j', id, '--format=State,ExitCode,NodeList']).catch(
    () => undefined,
  )
  return accounted?.code === 0 ? parseAccounting(accounted.stdout) : undefined
}

/** It waits for its turn, not for something of its own. */
const inQueue = ({ state, reason }: QueueRow): boolean => state === 'PENDING' && /^(Priority|Resources)/.test(reason)
