import type { StepDescription } from '../flow/description.js'
import type { GangAhead, Prepared, PrepareGang } from '../gang/contract.js'
import { gangRequest } from './attempt.js'
import type { RunContext } from './context.js'
import type { Plan } from './plan.js'

/** Milliseconds that members wait for their step, as spare bodies do. */
const IDLE_MS = 15_000
/** As many members are started ahead, where there are fewer CPUs: more would only take them from the step that runs. */
const FEW = 4

export interface NextGangOptions
  extends Pick<RunContext, 'backend' | 'compiled' | 'datastore' | 'capacity' | 'env' | 'inspect' | 'gangTimeouts'> {
  readonly flow: string
  readonly run: string
  /** Absent: no gang is started ahead of need. */
  readonly prepareGang?: PrepareGang
}

/**
 * The members of the gang that comes next, started while the step before it runs: where their number is literal, and no
 * devices are to be waited for. They wait for their secret, for 15 s; who is not needed ends with the run.
 */
export class NextGang {
  readonly #options: NextGangOptions
  readonly #steps: ReadonlyMap<string, StepDescription>
  #ready: Promise<Prepared | undefined> | undefined
  #key = ''
  #timer: NodeJS.Timeout | undefined

  constructor(options: NextGangOptions, steps: ReadonlyMap<string, StepDescription>) {
    this.#options = options
    this.#steps = steps
  }

  /** A task of `step` runs. Where it alone is what the run waits for, the id of the gang's task is known. */
  after({ transition }: StepDescription, plan: Pick<Plan, 'pending' | 'nextOf'>): void {
    if (transition.kind !== 'gang' || transition.size === null || plan.pending !== 1) return
    const step = this.#steps.get(transition.target)!
    const { backend, prepareGang, capacity, inspect } = this.#options
    if (!prepareGang || !backend.prepare || transition.size > Math.max(FEW, capacity.cpus)) return
    if ((step.resources.gpu ?? 0) > 0 || inspect?.step === step.name) return
    const task = plan.nextOf(step.name)
    const key = `${step.name}/${task}`
    if (this.#ready && this.#key === key) return
    void this.close()
    this.#key = key
    this.#ready = prepareGang(aheadOf(this.#options, step, transition.size, task))
    this.#ready.catch(() => {})
    this.#timer = setTimeout(() => void this.close(), IDLE_MS)
    this.#timer.unref()
  }

  /** Ends those that no step has taken. */
  async close(): Promise<void> {
    clearTimeout(this.#timer)
    const ready = this.#ready
    this.#ready = undefined
    await ready?.then((prepared) => prepared?.close()).catch(() => {})
  }
}

function aheadOf(options: NextGangOptions, step: StepDescription, size: number, task: string): GangAhead {
  const { flow, run, backend, compiled, datastore, env, gangTimeouts } = options
  return {
    request: gangRequest(step, { flow, run, step: step.name, task, attempt: 0 }, size),
    backend,
    compiled,
    datastore,
    env: { ...env, ...step.environment },
    timeouts: { ...gangTimeouts, ...step.gang?.timeouts },
  }
}
