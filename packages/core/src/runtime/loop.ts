import type { StopReason } from '../body/contract.js'
import { type DoneRecord, keys, type RunEndRecord, type TaskRecord } from '../datastore/records.js'
import { type ErrorFacts, GangflowError, messageOf } from '../errors/base.js'
import type { Resources, StepDescription } from '../flow/description.js'
import { keeperLost } from '../process/errors.js'
import { Admission, type Lease } from './admission.js'
import { type AttemptOutcome, runAttempt } from './attempt.js'
import { caughtRecord, type SaveArtifact } from './catch.js'
import { type RunContext, stepsOf } from './context.js'
import type { TaskId } from './contract.js'
import { FAILURE_GRACE_MS } from './control.js'
import type { Plan, PlannedTask } from './plan.js'
import { prepareNext } from './prepare.js'
import { counted, type FailedAttempts, retryDelay } from './retry.js'
import { json, owned } from './run-record.js'
import { unlessHung } from './unless-hung.js'
import { withVerdict } from './verdict.js'

/** How a run's tasks ended, before it is written down. */
export type RunEnd = Omit<RunEndRecord, 'endedAt'>

interface Waiting {
  readonly task: PlannedTask
  readonly step: StepDescription
  readonly attempt: number
  readonly failed: FailedAttempts
  readonly recorded: Promise<unknown>
}

/** Runs what the plan says, as much at once as may be, until the end step is done or something stops it. */
export class RunLoop {
  private readonly steps: ReadonlyMap<string, StepDescription>
  private readonly admission: Admission
  private readonly queue: Waiting[] = []
  private readonly active = new Map<AbortController, TaskId>()
  private readonly delays = new Map<NodeJS.Timeout, Waiting>()
  private readonly logs = new Set<Promise<void>>()
  /** How long the task ran that ended last. */
  private lastMs = 0
  private stopping: StopReason | undefined
  private end: RunEnd | undefined
  private settle!: (end: RunEnd) => void

  constructor(
    private readonly context: RunContext,
    private readonly plan: Plan,
    private readonly save: SaveArtifact,
  ) {
    this.steps = stepsOf(context.record.description)
    this.admission = new Admission(context.capacity)
  }

  /** Settles when nothing runs any more and all output is stored. */
  async run(ready: readonly PlannedTask[]): Promise<RunEnd> {
    const settled = new Promise<RunEnd>((resolve) => {
      this.settle = resolve
    })
    const { signal, kill } = this.context.control
    const onStop = () => this.stop(signal.reason as StopReason, { status: 'cancelled' })
    const onKill = () => void this.context.keeper.stopAll({ graceMs: 0 }).catch(() => {})
    signal.addEventListener('abort', onStop)
    kill.addEventListener('abort', onKill)
    void this.context.keeper.closed.then(() => this.keeperClosed())
    if (signal.aborted) onStop()
    this.enqueue(ready)
    this.pump()
    try {
      const end = await settled
      await unlessHung(end, Promise.all(this.logs))
      return end
    } finally {
      signal.removeEventListener('abort', onStop)
      kill.removeEventListener('abort', onKill)
    }
  }

  /** Ends everything that runs; what has finished meanwhile is still committed. The first reason stands. */
  stop(reason: StopReason, end: RunEnd): void {
    if (this.stopping) return
    this.stopping = reason
    this.end = end
    this.context.control.emit({ type: 'stopping', reason: reason.why })
    for (const [timer, { task, attempt }] of this.delays) {
      clearTimeout(timer)
      this.context.control.emit({ type: 'task-cancelled', step: task.step, task: task.task, attempt })
    }
    this.delays.clear()
    for (const { task, attempt } of this.queue.splice(0))
      this.context.control.emit({ type: 'task-cancelled', step: task.step, task: task.task, attempt })
    for (const controller of this.active.keys()) controller.abort(reason)
    this.pump()
  }

  private enqueue(tasks: readonly PlannedTask[]): void {
    for (const task of tasks) {
      const { step, task: id, gangSize } = task
      this.queue.push({ task, step: this.steps.get(step)!, attempt: 0, failed: {}, recorded: Promise.resolve() })
      this.context.control.emit({
        type: 'task-queued',
        step,
        task: id,
        attempt: 0,
        ...(gangSize === undefined ? {} : { gangSize }),
      })
    }
  }

  /** Starts what may start; settles the run when nothing is left. */
  private pump(): void {
    for (let index = 0; !this.stopping && this.admission.idle > 0 && index < this.queue.length; ) {
      const waiting = this.queue[index]!
      const lease = this.admission.admit(this.resourcesHere(waiting), waiting.task.gangSize)
      if (lease) {
        this.queue.splice(index, 1)
        void this.start(waiting, lease)
      } else index += 1
    }
    if (this.active.size > 0 || this.delays.size > 0 || this.queue.length > 0) return
    this.settle(this.end ?? { status: 'done' })
  }

  /** What the task takes of this machine: a gang that another backend places takes nothing. */
  private resourcesHere({ task, step }: Waiting): Resources {
    const elsewhere = this.context.jobs || (task.gangSize !== undefined && this.context.backend.name !== 'local')
    return elsewhere ? {} : step.resources
  }

  private async start(waiting: Waiting, lease: Lease): Promise<void> {
    const { task, step, attempt } = waiting
    const controller = new AbortController()
    this.active.set(controller, { step: task.step, task: task.task, attempt })
    let held = true
    const free = () => {
      if (!held) return
      held = false
      this.admission.release(lease)
      this.pump()
    }
    let prepared = false
    const prepareOnce = () => {
      if (prepared || this.stopping || this.context.jobs) return
      prepared = true
      prepareNext(this.context, this.steps, step, this.queue, this.admission, this.lastMs)
    }
    try {
      const recorded = attempt === 0 ? this.record(task) : waiting.recorded
      recorded.catch(() => {})
      const run = runAttempt(this.context, {
        task,
        step,
        attempt,
        lease,
        signal: controller.signal,
        recorded,
        free,
        // Not before: its own body is to have the CPUs first.
        began: () => this.stopping || this.context.nextGang.after(step, this.plan),
        ending: prepareOnce,
        keepLog: (logged) => this.keepLog(logged),
      })
      // The start of a gang wants every CPU; what follows it waits until it ends.
      if (task.gangSize === undefined) prepareOnce()
      const outcome = await run
      if (outcome.ok) {
        this.lastMs = outcome.ranMs ?? Number.POSITIVE_INFINITY
        this.done(task, attempt, outcome.done)
      } else await this.failed({ ...waiting, recorded }, outcome)
    } catch (error) {
      this.fault(error)
    } finally {
      this.active.delete(controller)
      free()
      this.pump()
    }
  }

  private record(task: PlannedTask): Promise<unknown> {
    const { reuse: _, ...planned } = task
    const spec: TaskRecord = { ...planned, createdAt: Date.now() }
    const { flow, run } = this.context.record
    return this.context.datastore
      .createRecord(keys.task({ flow, run, step: task.step, task: task.task }), json(spec), { durable: false })
      .then((created) => {
        if (!created) throw owned(flow, run)
      })
  }

  private done(task: PlannedTask, attempt: number, done: DoneRecord): void {
    this.context.control.emit({
      type: 'task-done',
      step: task.step,
      task: task.task,
      attempt,
      durationMs: done.endedAt - done.startedAt,
      ...(done.caught ? { caught: true } : {}),
    })
    const next = this.plan.complete(task, done)
    if (!this.stopping) this.enqueue(next)
  }

  private async failed(waiting: Waiting, outcome: AttemptOutcome & { ok: false }): Promise<void> {
    const { task, step, attempt } = waiting
    const id: TaskId = { step: task.step, task: task.task, attempt }
    const { control } = this.context
    if (this.stopping && outcome.verdict.cause === 'cancelled')
      return void control.emit({ type: 'task-cancelled', ...id })
    // Nothing can be started below a keeper that is gone, or kept in a datastore that hangs: it would only hide the cause.
    const over = this.stopping !== undefined || outcome.verdict.code === 'E_KEEPER_LOST' || outcome.unkept === true
    const failed = counted(waiting.failed, outcome.verdict.cause)
    const delay = over ? undefined : retryDelay(step.retry, failed, outcome.verdict.cause)
    if (delay !== undefined) {
      control.emit({ type: 'task-failed', ...id, verdict: outcome.verdict, retryInMs: delay })
      return this.again({ ...waiting, attempt: attempt + 1, failed }, delay)
    }
    const caught = over ? undefined : await caughtRecord(this.context, task, step, attempt, outcome, this.save)
    control.emit({ type: 'task-failed', ...id, verdict: outcome.verdict })
    if (caught) {
      const { flow, run } = this.context.record
      const fresh = await this.context.datastore.createRecord(keys.done({ flow, run, ...id }), json(caught))
      if (!fresh) throw owned(flow, run)
      return this.done(task, attempt, caught)
    }
    const why = `step '${step.name}' failed`
    this.stop(
      { cause: 'cancelled', why, graceMs: FAILURE_GRACE_MS },
      { status: 'failed', failed: id, error: runError(step, outcome) },
    )
  }

  private again(waiting: Waiting, delay: number): void {
    const { task, attempt } = waiting
    const timer = setTimeout(() => {
      this.delays.delete(timer)
      this.queue.push(waiting)
      this.context.control.emit({ type: 'task-queued', step: task.step, task: task.task, attempt })
      this.pump()
    }, delay)
    this.delays.set(timer, waiting)
  }

  /** Tasks that ran tell it themselves; those that wait for their next attempt would wait in vain. */
  private keeperClosed(): void {
    if (this.active.size === 0 && this.delays.size > 0) this.fault(keeperLost(this.context.keeper.pid, 'killed'))
  }

  /** Something that is no step's failure: the datastore, the keeper, or a fault of gangflow. */
  private fault(error: unknown): void {
    const facts = faultFacts(error)
    this.stop({ cause: 'cancelled', why: facts.what, graceMs: FAILURE_GRACE_MS }, { status: 'failed', error: facts })
  }

  private keepLog(logged: Promise<void>): void {
    const kept = logged.catch((error) => this.fault(error)).finally(() => this.logs.delete(kept))
    this.logs.add(kept)
  }
}

/** What the run's end says of the step that failed it. */
function runError(step: StepDescription, { verdict, error }: AttemptOutcome & { ok: false }): ErrorFacts {
  const { first } = verdict
  return {
    code: verdict.code ?? 'E_TASK_FAILED',
    what: verdict.summary,
    fix: verdict.fix,
    step: step.name,
    node: first?.node,
    rank: first?.rank,
    host: first?.host,
    location: error?.location,
    verdict,
  }
}

/** What is told of something that is no step's failure. */
export function faultFacts(error: unknown): ErrorFacts {
  if (GangflowError.is(error)) return withVerdict('infrastructure', error.toJSON())
  const fix = 'this is a fault of gangflow: please report it'
  const details = { stack: (error as Error | null)?.stack }
  return withVerdict('infrastructure', { code: 'E_RUN_FAULT', what: messageOf(error), fix, details })
}
