import type { StopReason } from '../body/contract.js'
import { type AttemptFailedRecord, type DoneRecord, keys, type RunEndRecord } from '../datastore/records.js'
import type { ErrorFacts, GangflowError } from '../errors/base.js'
import type { Resources, StepDescription } from '../flow/description.js'
import { keeperLost } from '../process/errors.js'
import { Admission, type Lease } from './admission.js'
import { type AttemptOutcome, runAttempt } from './attempt.js'
import { caughtRecord, type SaveArtifact } from './catch.js'
import { type RunContext, stepsOf } from './context.js'
import type { TaskId } from './contract.js'
import { FAILURE_GRACE_MS } from './control.js'
import type { Handed } from './follow-job.js'
import { JobsLeft } from './jobs.js'
import { isTakenOver } from './journal.js'
import { keepTask } from './keep-task.js'
import type { Plan, PlannedTask } from './plan.js'
import { prepareNext } from './prepare.js'
import type { Begun } from './recover.js'
import { counted, type FailedAttempts, retryDelay } from './retry.js'
import { faultFacts, runError } from './run-error.js'
import { json, owned } from './run-record.js'
import { unlessHung } from './unless-hung.js'

/** How a run's tasks ended, before it is written down. */
export type RunEnd = Omit<RunEndRecord, 'endedAt'>

/** Or how its launcher left it, which goes on without this process. */
export type LoopEnd =
  | RunEnd
  | { readonly status: 'detached'; readonly jobs: readonly string[] }
  | { readonly status: 'taken-over'; readonly error: ErrorFacts }

/** With what a loop begins. */
export interface LoopStart {
  readonly ready: readonly PlannedTask[]
  /** What an owner before this one has begun. */
  readonly begun?: readonly Begun[]
  /** Its decision that all is to end. */
  readonly stop?: { readonly reason: StopReason; readonly end: RunEnd }
  /** Leave at once what is handed over to its jobs. */
  readonly detach?: boolean
}

interface Waiting {
  readonly task: PlannedTask
  readonly step: StepDescription
  readonly attempt: number
  readonly failed: FailedAttempts
  readonly recorded: Promise<unknown>
  readonly handed?: Handed
  readonly ended?: AttemptFailedRecord
}

/** Runs what the plan says, as much at once as may be, until the end step is done or something stops it. */
export class RunLoop {
  private readonly steps: ReadonlyMap<string, StepDescription>
  private readonly admission: Admission
  private readonly queue: Waiting[] = []
  private readonly active = new Map<AbortController, TaskId>()
  private readonly delays = new Map<NodeJS.Timeout, Waiting>()
  private readonly logs = new Set<Promise<void>>()
  private readonly complaints = new Set<string>()
  /** How long the task ran that ended last. */
  private lastMs = 0
  private stopping: StopReason | undefined
  private end: RunEnd | undefined
  /** Its tasks go on without this process. */
  private left = false
  private settle!: (end: LoopEnd) => void

  constructor(
    private readonly context: RunContext,
    private readonly plan: Plan,
    private readonly save: SaveArtifact,
  ) {
    this.steps = stepsOf(context.record.description)
    this.admission = new Admission(context.capacity)
  }

  /** Settles when nothing runs any more and all output is stored. */
  async run({ ready, begun = [], stop, detach = false }: LoopStart): Promise<LoopEnd> {
    const settled = new Promise<LoopEnd>((resolve) => {
      this.settle = resolve
    })
    const { signal, kill, leave } = this.context.control
    const onStop = () => this.stop(signal.reason as StopReason, { status: 'cancelled' })
    const onKill = () => void this.context.keeper.stopAll({ graceMs: 0 }).catch(() => {})
    const onLeave = () => void this.leave().catch((error: unknown) => this.fault(error))
    signal.addEventListener('abort', onStop)
    leave.addEventListener('abort', onLeave)
    kill.addEventListener('abort', onKill)
    void this.context.keeper.closed.then(() => this.keeperClosed())
    // First what runs already: it is to hear of an end too.
    for (const one of begun) this.wait({ ...one, step: this.steps.get(one.task.step)!, recorded: Promise.resolve() })
    if (begun.length > 0) this.pump()
    if (stop) this.stop(stop.reason, stop.end)
    else if (signal.aborted) onStop()
    if (!this.stopping) this.enqueue(ready)
    this.pump()
    if (detach || leave.aborted) onLeave()
    try {
      const end = await settled
      await unlessHung(end, Promise.all(this.logs))
      return end
    } finally {
      signal.removeEventListener('abort', onStop)
      leave.removeEventListener('abort', onLeave)
      kill.removeEventListener('abort', onKill)
    }
  }

  /** Ends everything that runs; what has finished meanwhile is still committed. The first reason stands. */
  stop(reason: StopReason, end: RunEnd): void {
    if (this.stopping || this.left) return
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
    const all = () => {
      for (const controller of this.active.keys()) controller.abort(reason)
    }
    const { journal } = this.context
    // Jobs are ended by who owns the run, and by nobody else.
    if (journal) {
      const decided = journal.append({ kind: 'stop', reason, end })
      void decided.then(all, (error: unknown) => (isTakenOver(error) ? this.lose(error) : all()))
    } else all()
    this.pump()
  }

  /** Leaves the run to its jobs. Something that cannot be handed over to them fails the run instead. */
  private async leave(): Promise<void> {
    const { jobs } = this.context
    if (!jobs || jobs.relayed || this.stopping || this.left) return
    let open = await jobs.leave()
    // What could not be handed over fails the run, or waits for its next attempt.
    for (; !open; open = await jobs.leave()) {
      await new Promise((resolve) => setTimeout(resolve, 100))
      if (this.stopping || this.left) return
    }
    if (this.stopping || this.left || jobs.relayed) return
    this.goAway()
    this.settle({ status: 'detached', jobs: open })
  }

  /** Somebody else leads the run: nothing of it is touched any more. */
  lose(error: GangflowError): void {
    if (this.left) return
    this.goAway()
    this.context.jobs?.abandon()
    this.settle({ status: 'taken-over', error: error.toJSON() })
  }

  private goAway(): void {
    this.left = true
    for (const timer of this.delays.keys()) clearTimeout(timer)
    this.delays.clear()
    this.queue.length = 0
  }

  private enqueue(tasks: readonly PlannedTask[]): void {
    for (const task of tasks)
      this.wait({ task, step: this.steps.get(task.step)!, attempt: 0, failed: {}, recorded: Promise.resolve() })
  }

  private wait(waiting: Waiting): void {
    const { attempt, task } = waiting
    const { step, task: id, gangSize } = task
    this.queue.push(waiting)
    this.context.control.emit({
      type: 'task-queued',
      step,
      task: id,
      attempt,
      ...(gangSize === undefined ? {} : { gangSize }),
    })
  }

  /** Starts what may start; settles the run when nothing is left. */
  private pump(): void {
    if (this.left) return
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

  /** No task runs on this machine. */
  private get elsewhere(): boolean {
    const { jobs, backend } = this.context
    return jobs !== undefined || backend.tasks === 'member'
  }

  /** What the task takes of this machine: a gang that another backend places takes nothing. */
  private resourcesHere({ task, step }: Waiting): Resources {
    const elsewhere = this.elsewhere || (task.gangSize !== undefined && this.context.backend.name !== 'local')
    return elsewhere ? {} : step.resources
  }

  private async start(waiting: Waiting, lease: Lease): Promise<void> {
    const { task, step, attempt, handed, ended } = waiting
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
      if (prepared || this.stopping || this.elsewhere) return
      prepared = true
      prepareNext(this.context, this.steps, step, this.queue, this.admission, this.lastMs)
    }
    try {
      // Of a task in a job this is done once it is decided on.
      const recorded = attempt === 0 && !this.context.jobs ? this.record(task) : waiting.recorded
      recorded.catch(() => {})
      const asked = {
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
        keepLog: (logged: Promise<void>) => this.keepLog(logged),
        ...(handed ? { handed } : {}),
      }
      const run = ended ? Promise.resolve(endedBefore(ended)) : runAttempt(this.context, asked)
      // The start of a gang wants every CPU; what follows it waits until it ends.
      if (task.gangSize === undefined) prepareOnce()
      const outcome = await run
      if (this.left) return
      if (outcome.ok) {
        this.lastMs = outcome.ranMs ?? Number.POSITIVE_INFINITY
        this.done(task, attempt, outcome.done)
      } else await this.failed({ task, step, attempt, failed: waiting.failed, recorded }, outcome)
    } catch (error) {
      if (!(error instanceof JobsLeft)) this.fault(error)
    } finally {
      this.active.delete(controller)
      free()
      this.pump()
    }
  }

  private record(task: PlannedTask): Promise<unknown> {
    const { flow, run } = this.context.record
    return keepTask(this.context.datastore, { flow, run }, task).then((created) => {
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
    if (this.stopping && outcome.verdict.cause === 'cancelled') {
      if (outcome.error) this.mayGoOn(id, outcome.error)
      return void control.emit({ type: 'task-cancelled', ...id })
    }
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
      await this.context.journal?.check()
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

  /** What was to end may go on: that is told with the run's end, or beside another error; once for all tasks of an array. */
  private mayGoOn(id: TaskId, error: ErrorFacts): void {
    if (this.complaints.has(error.what)) return
    this.complaints.add(error.what)
    if (this.end && !this.end.error) this.end = { ...this.end, error }
    else this.context.control.emit({ type: 'note', ...id, text: `${error.what}; ${error.fix ?? ''}` })
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
    if (isTakenOver(error)) {
      this.lose(error)
      return
    }
    const facts = faultFacts(error)
    this.stop({ cause: 'cancelled', why: facts.what, graceMs: FAILURE_GRACE_MS }, { status: 'failed', error: facts })
  }

  private keepLog(logged: Promise<void>): void {
    const kept = logged.catch((error) => this.fault(error)).finally(() => this.logs.delete(kept))
    this.logs.add(kept)
  }
}

const endedBefore = ({ endedAt, verdict }: AttemptFailedRecord): AttemptOutcome => ({
  ok: false,
  verdict,
  startedAt: endedAt,
})
