import { GangflowError } from '@gangflow/core'
import type { BackendNotes, EngineEnds, JobEnd, KeptProcess } from '@gangflow/core/backend'
import { said } from './command.js'
import { parseQueued, parseShellCode } from './parse.js'
import { SrunStep } from './srun-step.js'
import { refused } from './submit.js'
import { rowOf, type Watch } from './watch.js'

/** Milliseconds for a question about the job, and in which Slurm says how one ended that it is ending. */
const ANSWER_MS = 5_000
const WORD_MS = 60_000
/** Milliseconds in which agents that were asked to end by Slurm tell of that, after srun has gone. */
const BELIEF_MS = 5_000

export interface RelayedJobOptions {
  /** srun. */
  readonly child: KeptProcess
  readonly size: number
  /** Begins each line of its tasks' own. */
  readonly nonce: string
  readonly watch: Watch
  readonly note: BackendNotes
}

/** A job of srun's making, as it waits for its nodes, and then as its tasks tell of themselves. */
export class RelayedJob {
  readonly step: SrunStep
  /** By task: its node. */
  readonly hosts: string[] = []
  /** By task: where its spools are on its node. */
  readonly spools: string[] = []
  /** By task: that its agent left of its own accord, and so has nothing to leave. */
  readonly left: boolean[] = []
  readonly #options: RelayedJobOptions
  #id: string | undefined
  #ended: Promise<JobEnd> | undefined
  #wake = () => {}
  #unfit: GangflowError | undefined
  #granted = () => {}
  #over = false

  constructor(options: RelayedJobOptions) {
    this.#options = options
    this.step = new SrunStep(options.child, options.size, { hear: (line) => this.#hear(line), beliefMs: BELIEF_MS })
    void options.child.exited.then(() => {
      this.#over = true
      this.#wake()
    })
  }

  /** srun has ended, and the job with it. */
  get over(): boolean {
    return this.#over
  }

  /** Known once it waits in the queue, or runs. */
  get id(): string | undefined {
    return this.#id
  }

  /**
   * Until all of its tasks are ready for their agents. The queue takes what it takes; `provisionMs` is from the first task on.
   * Rejects with `E_SLURM_REFUSED`, `E_SLURM_NODE_UNFIT` or the signal's reason.
   */
  async ready(provisionMs: number, signal: AbortSignal): Promise<void> {
    let late = false
    let timer: NodeJS.Timeout | undefined
    this.#granted = () => {
      timer ??= setTimeout(() => {
        late = true
        this.#wake()
      }, provisionMs)
    }
    const woken = () => this.#wake()
    signal.addEventListener('abort', woken, { once: true })
    try {
      for (;;) {
        const happened = new Promise<void>((resolve) => {
          this.#wake = resolve
        })
        signal.throwIfAborted()
        if (this.#unfit) throw this.#unfit
        if (this.spools.filter(Boolean).length === this.#options.size) return
        if (this.#over) throw await this.#neverBegan()
        if (late) throw this.#late()
        await happened
      }
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', woken)
    }
  }

  /** Whether it is Slurm that ends the job. */
  async why(): Promise<EngineEnds | undefined> {
    const id = this.#id
    if (id === undefined) return undefined
    const asked = rowOf(id).catch(() => undefined)
    const row = await Promise.race([asked, pause(ANSWER_MS)])
    if (!row || row.state === 'RUNNING') return undefined
    return { id, ended: this.#word(WORD_MS) }
  }

  /** How Slurm says that the job ended, where its members have not said it. */
  async #word(ms: number): Promise<JobEnd | undefined> {
    this.#options.watch.soon()
    const end = await Promise.race([this.#ended, pause(ms)])
    return end && !own.includes(end.state) ? end : undefined
  }

  /** It was not taken, or ended in the queue. */
  async #neverBegan(): Promise<GangflowError> {
    const end = this.#id === undefined ? undefined : await this.#word(ANSWER_MS)
    if (end) return ended(this.#id!, end)
    return refused(
      said({ code: 1, stdout: '', stderr: this.step.lines.join('\n') }) || 'srun ended before its tasks began',
    )
  }

  #hear(line: string): boolean {
    const queued = parseQueued(line)
    if (queued !== undefined) this.#is(queued)
    const at = line.indexOf(`${this.#options.nonce} `)
    if (at < 0) return queued !== undefined
    const [, index = '', word, ...rest] = line.slice(at).split(' ')
    const task = Number(index)
    if (word === 'here') {
      this.#granted()
      this.#is(rest[0]!)
      this.hosts[task] = rest[1]!
    } else if (word === 'place') this.spools[task] = rest.join(' ')
    else if (word === 'ended') {
      this.left[task] = rest[0] === '0'
      this.step.tell(task, parseShellCode(rest[0]!))
    } else if (word === 'unfit') this.#unfit ??= unfit(this.hosts[task] ?? `of task ${task}`, rest.join(' '))
    this.#wake()
    return true
  }

  #is(id: string): void {
    if (this.#id !== undefined) return
    this.#id = id
    this.#ended = this.#options.watch.add(id, (text) => this.#options.note(text))
  }

  #late(): GangflowError {
    const { size } = this.#options
    const slow = Array.from({ length: size }, (_, task) => task).filter((task) => !this.spools[task])
    const names = slow.map((task) => this.hosts[task] ?? `the node of task ${task}`)
    return new GangflowError({ code: LATE, what: `waited for: ${names.join(', ')}` })
  }
}

/** The gang's own codes. */
const LATE = 'E_GANG_PROVISION_TIMEOUT'
const ENDED = 'E_JOB_ENDED'

function ended(id: string, { cause = 'infrastructure', summary, state, fix }: JobEnd): GangflowError {
  const facts = { code: ENDED, what: `job ${id} ${summary} (${state})`, ...(fix === undefined ? {} : { fix }) }
  const about = { version: 1, cause, summary: facts.what, code: ENDED, author: 'launcher' } as const
  return new GangflowError({ ...facts, verdict: { ...about, echoes: [], stopped: [] } })
}

/** How jobs end of which Slurm has nothing to say that their members had not said. */
const own: readonly string[] = ['COMPLETED', 'FAILED', 'UNKNOWN']

const unfit = (host: string, why: string): GangflowError =>
  new GangflowError({
    code: 'E_SLURM_NODE_UNFIT',
    what: `node ${host} ${why}`,
    fix: 'mend it there, or ask for other nodes: --backend-option exclude=NODE, or constraint=FEATURE',
    host,
  })

const pause = (ms: number): Promise<undefined> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms, undefined).unref()
  })
