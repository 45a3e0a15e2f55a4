import type { KeptProcess, ProcessExit } from '@gangflow/core/backend'
import { parseTaskExit } from './parse.js'

/** Milliseconds for the step to end once srun was asked for it. */
const END_MS = 8_000
/** Milliseconds that a member which was told to leave is waited for, before the step is ended for all. */
const REAP_MS = 2_000
const KEPT = 20

interface StepOptions {
  /** Takes the lines that are its own, and says so. */
  readonly hear?: (line: string) => boolean
  /** Milliseconds for which agents may outlive srun: where their job is cancelled it ends first. Default 0. */
  readonly beliefMs?: number
}

/** One step of srun whose tasks are the agents of a gang. srun tells of each that ends badly, and ends when all have. */
export class SrunStep {
  readonly exits: readonly Promise<ProcessExit>[]
  /** What srun and the agents have said, oldest first. */
  readonly lines: string[] = []
  readonly #child: KeptProcess
  readonly #told: ((exit: ProcessExit) => void)[] = []
  readonly #reaped = new Set<number>()
  readonly #size: number
  readonly #hear: (line: string) => boolean
  #held = ''
  #over = false

  constructor(child: KeptProcess, size: number, { hear = () => false, beliefMs = 0 }: StepOptions = {}) {
    this.#child = child
    this.#size = size
    this.#hear = hear
    this.exits = Array.from({ length: size }, () => new Promise<ProcessExit>((resolve) => this.#told.push(resolve)))
    const decoder = new TextDecoder()
    child.onOutput(({ data }) => this.#push(decoder.decode(data, { stream: true })))
    void child.exited.then((exit) => {
      this.#over = true
      setTimeout(() => {
        for (const tell of this.#told) tell(exit)
      }, beliefMs).unref()
    })
  }

  /** A member that has gone by itself needs no end. The step ends for all once all are to end. */
  async reap(index: number): Promise<void> {
    this.#reaped.add(index)
    await Promise.race([this.exits[index], pause(REAP_MS)])
    if (this.#reaped.size === this.#size && !this.#over) await this.end()
  }

  /** Slurm ends whatever the step has left on its nodes. */
  async end(): Promise<void> {
    if (this.#over) return
    await Promise.race([this.#child.exited, pause(500)])
    if (!this.#over) await this.#child.stop({ graceMs: END_MS, signal: 'SIGTERM' })
  }

  /** How a task's agent has ended. */
  tell(task: number, { code, signal }: { readonly code: number | null; readonly signal: string | null }): void {
    this.#told[task]?.({
      code,
      signal: signal as NodeJS.Signals | null,
      ageMs: 0,
      at: performance.now(),
      solicited: false,
    })
  }

  #push(text: string): void {
    const lines = (this.#held + text).split('\n')
    this.#held = lines.pop()!
    for (const line of lines) {
      if (this.#hear(line)) continue
      if (line.trim() !== '') this.lines.push(line)
      if (this.lines.length > KEPT) this.lines.shift()
      const exit = parseTaskExit(line)
      for (const task of exit?.tasks ?? []) this.tell(task, exit!)
    }
  }
}

const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms).unref()
  })
