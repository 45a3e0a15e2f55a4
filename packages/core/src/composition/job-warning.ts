import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import type { StopReason } from '../body/contract.js'
import { PREEMPT_FILE, type PreemptWarning } from '../current/preempt.js'
import type { StepDescription } from '../flow/description.js'
import type { GangBackend } from '../gang/contract.js'

/** Milliseconds between two looks for the word that everything is saved. */
const LOOK_MS = 500
/** Milliseconds of what is left that are kept for the end of the task. */
const KEPT_MS = 15_000

type Told = { readonly [K in keyof Omit<PreemptWarning, 'saved'>]: PreemptWarning[K] | undefined }
type Engine = Pick<GangBackend, 'warned' | 'putBack'>

export interface WarningOptions {
  /** Path, seen by all nodes, without its suffixes: of this task in this job. */
  readonly place: string
  /** How often the engine has started this job again. */
  readonly restarts: number
  readonly step: StepDescription
  note(text: string): void
  stop(reason: StopReason): void
}

/** The file of a start's warning, which is there as soon as that has begun its task. */
export const warningFile = (place: string, start: number): string => `${place}-${start}.warning`

/**
 * The last warning of a job: its engine's signal becomes a line in a file that all its processes know by their environment.
 * A task whose job goes back into the queue is stopped shortly before its end, or once it says that all is saved.
 */
export class JobWarnings {
  readonly #options: WarningOptions
  readonly #file: string
  readonly #timers: NodeJS.Timeout[] = []

  /** Before anything that is to know of it is started. */
  constructor(options: WarningOptions) {
    this.#options = options
    this.#file = warningFile(options.place, options.restarts)
    writeFileSync(this.#file, '')
    process.env[PREEMPT_FILE] = this.#file
  }

  /** The engine has warned. */
  async heard(backend: Engine): Promise<void> {
    const { step, note, stop } = this.#options
    const warning = await backend.warned?.(step).catch(() => undefined)
    const { cause, leftMs } = warning ?? {}
    const again = warning !== undefined && (cause === 'preempted' || this.#atLimit < warning.times)
    writeFileSync(this.#file, `${JSON.stringify({ cause, leftMs, again } satisfies Told)}\n`)
    const left = leftMs === undefined ? '' : ` in ${Math.round(leftMs / 1_000)} s`
    const why = cause === 'preempted' ? 'another job takes its nodes' : cause ? 'its time is over' : 'its job ends'
    note(`warned: ${why}${left}${again ? ', then it goes back into the queue' : ''}`)
    if (!again) return
    const kept = Math.min(KEPT_MS, (leftMs ?? Number.POSITIVE_INFINITY) / 2)
    const end = () => {
      this.close()
      stop({ cause: 'preempted', why: `${why}, and its job goes back into the queue`, graceMs: kept / 2 })
    }
    this.#timers.push(setInterval(() => existsSync(`${this.#file}.saved`) && end(), LOOK_MS))
    // Where it is not known, the engine's own end comes first.
    if (leftMs !== undefined) this.#timers.push(setTimeout(end, leftMs - kept))
  }

  /** The task has ended because somebody wanted its end: puts its job back, where it may have more. */
  async putBack(backend: Engine): Promise<boolean> {
    const { step, place } = this.#options
    const cause = await backend.putBack?.(step, this.#atLimit)
    if (cause === 'time-limit') writeFileSync(`${place}.limits`, String(this.#atLimit + 1))
    return cause !== undefined && cause !== false
  }

  close(): void {
    for (const timer of this.#timers) clearTimeout(timer)
  }

  /** How often the job went back because its time was over. */
  get #atLimit(): number {
    const path = `${this.#options.place}.limits`
    return existsSync(path) ? Number(readFileSync(path, 'utf8')) : 0
  }
}
