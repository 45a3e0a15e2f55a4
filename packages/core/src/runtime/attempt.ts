import { hostname } from 'node:os'
import { join } from 'node:path'
import type { BodyEvent } from '../body/contract.js'
import type { Assignment } from '../body/protocol.js'
import { type AttemptAddress, type AttemptFailedRecord, type DoneRecord, keys } from '../datastore/records.js'
import { type ErrorFacts, GangflowError } from '../errors/base.js'
import type { Verdict } from '../errors/verdict.js'
import type { StepDescription } from '../flow/description.js'
import type { GangBackend, GangEvent, GangRequest } from '../gang/contract.js'
import type { Lease } from './admission.js'
import { runInJob } from './attempt-in-job.js'
import { bodySpec, type RunContext } from './context.js'
import type { TaskId } from './contract.js'
import type { Handed } from './follow-job.js'
import type { PlannedTask } from './plan.js'
import { json, owned } from './run-record.js'
import { transitionProblem } from './transition.js'
import { bodyVerdict, launcherVerdict } from './verdict.js'

export interface AttemptRequest {
  readonly task: PlannedTask
  readonly step: StepDescription
  readonly attempt: number
  readonly lease: Lease
  /** Aborted with a `StopReason`. */
  readonly signal: AbortSignal
  /** Settles when the task's record is stored; nothing is committed before. */
  readonly recorded: Promise<unknown>
  /** Called when its processes have nothing more to do: another task may start while this one is committed. */
  free(): void
  /** Called when its body has the task, unless it is a gang. */
  began(): void
  /** Called when a member of a gang is done: the bodies of what follows may be started. May be called again. */
  ending(): void
  /** Takes the promise that the attempt's output is stored, or that its gang's agents have gone; the run does not end before it. */
  keepLog(logged: Promise<void>): void
  /** Where an owner of the run before this one has handed it over. */
  readonly handed?: Handed
}

export type AttemptOutcome =
  /** `unkept`: the datastore did not take the account. `ranMs`: without the start of its process, where that is known. */
  | { readonly ok: true; readonly done: DoneRecord; readonly ranMs?: number }
  | {
      readonly ok: false
      readonly verdict: Verdict
      readonly error?: ErrorFacts
      readonly startedAt: number
      readonly unkept?: true
    }

/** Runs one attempt to its committed end: its DoneRecord, or its AttemptFailedRecord. Rejects when storing fails. */
export async function runAttempt(context: RunContext, request: AttemptRequest): Promise<AttemptOutcome> {
  const { task, step, attempt } = request
  const { datastore, record } = context
  const address: AttemptAddress = { flow: record.flow, run: record.run, step: task.step, task: task.task, attempt }
  if (context.jobs && !context.jobs.relayed) {
    const outcome = await runInJob(context, context.jobs, request, address)
    if (outcome !== 'unseen') {
      request.free()
      return outcome.ok ? outcome : await keepAccount(context, request, address, outcome)
    }
  }
  const backend = context.jobs?.relayed ?? context.backend
  // An ordinary task is a gang of one where it does not run here.
  const size = task.gangSize ?? (backend.tasks === 'member' ? 1 : undefined)
  const startedAt = Date.now()
  const start = json({ attempt, startedAt, host: hostname() })
  // Both reach the disk with the record of the attempt's end, at the latest.
  const started = datastore.createRecord(keys.attemptStart(address), start, { durable: false })
  started.catch(() => {})
  const temp = join(context.temp, `${task.step}-${task.task}-${attempt}`)
  const assignment = {
    address,
    datastore: datastore.location,
    description: record.description,
    parents: task.parents,
    frames: task.frames,
    ...(task.item ? { item: task.item } : {}),
    parameters: record.parameters,
    user: record.user,
    tags: context.tags,
    temp,
    ...(step.timeoutMs === undefined ? {} : { timeoutMs: step.timeoutMs }),
  }
  const outcome =
    size === undefined
      ? await runBody(context, request, assignment, startedAt)
      : await runMembers(context, request, { assignment, backend, size }, startedAt)
  request.free()
  if (!outcome.ok) return await keepAccount(context, request, address, outcome, started)
  await Promise.all([started, request.recorded])
  // A gang has committed it itself.
  if (size !== undefined) return outcome
  if (!(await datastore.createRecord(keys.done(address), json(outcome.done)))) throw owned(record.flow, record.run)
  return outcome
}

/** Stores how it failed, unless whoever ran it has. */
async function keepAccount(
  { datastore, journal }: RunContext,
  { attempt, recorded }: AttemptRequest,
  address: AttemptAddress,
  outcome: AttemptOutcome & { readonly ok: false },
  started?: Promise<unknown>,
): Promise<AttemptOutcome> {
  const failed: AttemptFailedRecord = { attempt, endedAt: Date.now(), verdict: outcome.verdict }
  try {
    await Promise.all([started, recorded, journal?.check()])
    await datastore.createRecord(keys.attemptFailed(address), json(failed))
    return outcome
  } catch (error) {
    // A datastore that hangs is why it failed, most likely: what is known of that is told all the same.
    if (!GangflowError.is(error) || error.code !== 'E_DATASTORE_TIMEOUT') throw error
    return { ...outcome, unkept: true }
  }
}

async function runBody(
  context: RunContext,
  request: AttemptRequest,
  base: Omit<Assignment, 'epoch' | 'node'>,
  startedAt: number,
): Promise<AttemptOutcome> {
  const { task, step, attempt, lease, signal } = request
  const id: TaskId = { step: task.step, task: task.task, attempt }
  let begun = performance.now()
  const run = context.host.run({
    spec: bodySpec(context, step, lease),
    assignment: { ...base, epoch: 1, node: 0 },
    signal,
    ...(context.inspect?.step === step.name ? { inspect: true } : {}),
    ...(task.reuse ? { reuse: true } : {}),
    emit: (event) => {
      if (event.type === 'started') {
        begun = performance.now()
        request.began()
      }
      tell(context, id, event)
    },
  })
  run.peer.catch(() => {})
  request.keepLog(run.logged)
  const outcome = await run.outcome
  if (!outcome.ok) {
    return {
      ok: false,
      verdict: bodyVerdict(outcome),
      startedAt,
      ...(outcome.error ? { error: outcome.error } : {}),
    }
  }
  const { artifacts, transition, ambiguous } = outcome.completion
  const problem = transitionProblem(step, transition)
  if (problem) return { ok: false, verdict: launcherVerdict('user', problem), error: problem, startedAt }
  const done: DoneRecord = {
    attempt,
    epoch: 1,
    startedAt,
    endedAt: Date.now(),
    artifacts,
    transition,
    ...(ambiguous ? { ambiguous } : {}),
  }
  return { ok: true, done, ranMs: performance.now() - begun }
}

function tell({ control }: RunContext, id: TaskId, event: BodyEvent): void {
  if (event.type === 'started') control.emit({ type: 'task-started', ...id, pid: event.pid })
  else if (event.type === 'line') control.emit({ ...event, ...id, process: 'body' })
  else if (event.type !== 'state') control.emit({ ...event, ...id })
}

/** What a gang step's attempt asks of its backend; with none, the devices are all of this machine's. */
export const gangRequest = (
  step: StepDescription,
  address: AttemptAddress,
  size: number,
  gpus: readonly string[] = [],
): GangRequest => ({ address, step, size, resources: step.resources, ...(gpus.length > 0 ? { gpus } : {}) })

interface Members {
  readonly assignment: Omit<Assignment, 'epoch' | 'node'>
  readonly backend: GangBackend
  readonly size: number
}

/** Of an ordinary task there is nothing to tell nodes apart for. */
const withoutNode = <E extends GangEvent>(event: E): E => {
  if (!('node' in event)) return event
  const { node: _, ...rest } = event
  return rest as unknown as E
}

async function runMembers(
  context: RunContext,
  { task, step, attempt, signal, lease, ending, keepLog }: AttemptRequest,
  { assignment, backend, size }: Members,
  startedAt: number,
): Promise<AttemptOutcome> {
  const id: TaskId = { step: task.step, task: task.task, attempt }
  context.control.emit({ type: 'task-started', ...id })
  const { inspect } = context
  const alone = task.gangSize === undefined
  const outcome = await context.runGang({
    request: gangRequest(step, assignment.address, size, lease.gpus),
    backend,
    compiled: context.compiled,
    assignment,
    datastore: context.datastore,
    keeper: context.keeper,
    env: { ...context.env, ...step.environment },
    signal,
    keep: keepLog,
    ...(context.restarts ? { restart: context.restarts } : {}),
    timeouts: { ...context.gangTimeouts, ...step.gang?.timeouts },
    ...(inspect?.step === step.name ? { inspect: inspect.node ?? 0 } : {}),
    emit: (event) => {
      if (event.type === 'member' && event.state === 'done') ending()
      if (!alone) context.control.emit({ ...event, ...id })
      else if (event.type !== 'member') context.control.emit({ ...withoutNode(event), ...id })
    },
  })
  if (!outcome.ok) return { ...outcome, startedAt }
  const problem = transitionProblem(step, outcome.done.transition)
  if (problem) return { ok: false, verdict: launcherVerdict('user', problem), error: problem, startedAt }
  return outcome
}
