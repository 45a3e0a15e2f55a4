import type { ErrorFacts } from '../errors/base.js'
import type { Casualty, Verdict } from '../errors/verdict.js'
import type { FlowDescription } from '../flow/description.js'
import type { Json } from '../flow/values.js'
import type { ArtifactRef, BlobRef } from './contract.js'

/**
 * What is kept of a run, by key:
 *
 *   flows/FLOW/RUN/run                                          RunRecord, created at start
 *   flows/FLOW/RUN/end                                          RunEndRecord, create-if-absent
 *   flows/FLOW/RUN/owner/N                                      OwnerRecord, create-if-absent: the highest N owns the run
 *   flows/FLOW/RUN/seen/N                                       SeenRecord, put by owner N now and then
 *   flows/FLOW/RUN/left/N                                       LeftRecord: owner N has left the run to its jobs
 *   flows/FLOW/RUN/tags                                         string[]
 *   flows/FLOW/RUN/packages/HASH                                PackageRecord: code that was sent to hosts
 *   flows/FLOW/RUN/tasks/STEP/TASK/spec                         TaskRecord, created when scheduled
 *   flows/FLOW/RUN/tasks/STEP/TASK/attempts/A/start             AttemptRecord
 *   flows/FLOW/RUN/tasks/STEP/TASK/attempts/A/failed            AttemptFailedRecord, create-if-absent
 *   flows/FLOW/RUN/tasks/STEP/TASK/attempts/A/epochs/E/head     EpochHead: a gang's epoch E, or its end under E-1; create-if-absent
 *   flows/FLOW/RUN/tasks/STEP/TASK/attempts/A/epochs/E/beat     the control's lease, where no owner watches
 *   flows/FLOW/RUN/tasks/STEP/TASK/attempts/A/epochs/E/checkpoints/NAME  { blob }, replaced by the next of that epoch
 *   flows/FLOW/RUN/tasks/STEP/TASK/attempts/A/epochs/E/nodes/N  NodeRecord, one per member that ran a body
 *   flows/FLOW/RUN/tasks/STEP/TASK/attempts/A/logs/E/N/PROC/C   LogChunkRecord, C counts from 000000
 *   flows/FLOW/RUN/journal/J/entry                              JournalEntry: what owners of a run in an engine's jobs have decided, in order; create-if-absent
 *   flows/FLOW/RUN/journal/J/engine                             JobEngine: under which id the engine has entry J's job, if at all; create-if-absent
 *   flows/FLOW/RUN/tasks/STEP/TASK/attempts/A/rendezvous/N       { address }: who takes a gang's members in; create-if-absent
 *   flows/FLOW/RUN/tasks/STEP/TASK/attempts/A/plans/N           what a plugin performed (D6)
 *   flows/FLOW/RUN/tasks/STEP/TASK/done                         DoneRecord, create-if-absent: the task is done
 *
 * Attempts count from 0, epochs from 1; an ordinary task is node 0 of epoch 1. Times are milliseconds since 1970 of the writer's clock: for display only.
 */

export interface RunRecord {
  readonly version: 1
  readonly flow: string
  readonly run: string
  readonly file: string
  readonly user: string
  readonly host: string
  readonly startedAt: number
  readonly coreVersion: string
  readonly backend: string
  readonly description: FlowDescription
  readonly bundle: BundleRef
  /** Validated parameter values; a file parameter holds its content's BlobRef. */
  readonly parameters: ArtifactTable
  /** The run that this one resumes. */
  readonly origin?: { readonly run: string; readonly from?: string }
  /** Its tasks run in jobs of an engine, which outlive their launcher: another one can take it up. */
  readonly jobs?: true
}

/** The compiled flow as stored. */
export interface BundleRef {
  /** Hash of bundle, map and the pinned imports. */
  readonly hash: string
  readonly code: BlobRef
  readonly map: BlobRef
}

/** A flow's package by the hash of its manifest; names every blob that belongs to it, so that `gc` spares them. */
export interface PackageRecord {
  readonly package: BlobRef
  readonly blobs: readonly string[]
}

export type RunStatus = 'running' | 'detached' | 'done' | 'failed' | 'cancelled' | 'lost'

export interface RunEndRecord {
  readonly status: 'done' | 'failed' | 'cancelled'
  readonly endedAt: number
  readonly error?: ErrorFacts
  /** The task that failed first. */
  readonly failed?: { readonly step: string; readonly task: string; readonly attempt: number }
}

/** Who runs a run; the highest number owns it. */
export interface OwnerRecord {
  readonly host: string
  readonly pid: number
  /** Start time of the process as the kernel gives it, so that a reused pid is not taken for it. */
  readonly pidStart: string
  readonly at: number
}

/** The owner's last sign of life; the owner's record tells its first. */
export interface SeenRecord {
  readonly at: number
  /** Milliseconds between two of them. */
  readonly everyMs?: number
}

/** An owner that left its run without ending it: what was handed over to the engine goes on. */
export interface LeftRecord {
  readonly at: number
}

/** Under which id the engine has a job. Null: it was never handed over, and a job that turns up for it all the same leaves at once. */
export interface JobEngine {
  readonly id: string | null
}

export type ArtifactTable = Readonly<Record<string, ArtifactRef>>

/** One level of nesting that a task is in, outermost first. */
export interface Frame {
  readonly kind: 'branch' | 'foreach'
  /** The step that split. */
  readonly step: string
  /** The task that split. */
  readonly task: string
  readonly index: number
  readonly size: number
  /** For a branch: the step that begins it. */
  readonly branch?: string
}

export interface TaskRef {
  readonly step: string
  readonly task: string
  /** For a parent that is a gang: the node whose artifacts are meant. */
  readonly node?: number
}

export interface TaskRecord {
  readonly step: string
  readonly task: string
  readonly createdAt: number
  /** Parents in order: for a foreach's join by item, for a branch's by `this.next` order, for a gang's by node. */
  readonly parents: readonly TaskRef[]
  readonly frames: readonly Frame[]
  /** The foreach item for a foreach's target. */
  readonly item?: ArtifactRef
  /** Present on a gang task. */
  readonly gangSize?: number
  /** The task of the origin run that this one was taken over from; it is then done from the start. */
  readonly origin?: { readonly run: string; readonly task: string }
}

export interface AttemptRecord {
  readonly attempt: number
  readonly startedAt: number
  readonly host: string
}

export interface AttemptFailedRecord {
  readonly attempt: number
  readonly endedAt: number
  readonly verdict: Verdict
}

export interface NodeRecord {
  readonly node: number
  readonly host: string
  readonly memberId?: string
  readonly control: boolean
  readonly artifacts: ArtifactTable
}

/**
 * What follows an epoch: the next one, or the end of the gang. Under each version's name there is one, created by
 * whoever was first and never changed: so whoever acts for an epoch that has been followed is too late, whenever it
 * wakes up (D3).
 */
export type EpochHead = EpochOpening | EpochEnd

/** An epoch; its number is its version's. */
export interface EpochOpening {
  readonly kind: 'open'
  /** Counts from 1 through all formations of the attempt, restarts of the scheduler included. */
  readonly epoch: number
  /** The scheduler's restart count (requeues); 0 where there is none. Never falls from epoch to epoch. */
  readonly restart: number
  /** Member id of the control: the lowest of `members`. */
  readonly control: string
  /** In node order. */
  readonly members: readonly string[]
  /** Hosts of the members, in the same order. */
  readonly hosts?: readonly string[]
  /** Who opened it: a member id, or `launcher`. */
  readonly by: string
  /** Why the epoch before ended: those that were lost, the first cause first. */
  readonly lost?: readonly EpochLoss[]
  /** Drawn for it: tells it from another's of the same facts. */
  readonly id: string
  /** Milliseconds since 1970 of the opener's clock: for display only. */
  readonly at: number
}

/** One loss that a new epoch was formed after. */
export interface EpochLoss {
  readonly summary: string
  readonly casualty: Casualty
}

/** The end of the gang under the epoch before this version. */
export interface EpochEnd {
  readonly kind: 'end'
  /** The epoch that was current; its version is one higher. */
  readonly epoch: number
  /** The scheduler's restart count: a later start of the gang goes on after it. Default 0. */
  readonly restart?: number
  readonly by: string
  /** What the end commits. Who finds an end without its record stores it: whoever won may have died before it did. */
  readonly record?: { readonly key: string; readonly value: Json }
  readonly id: string
  readonly at: number
}

export interface DoneRecord {
  readonly attempt: number
  readonly epoch: number
  readonly endedAt: number
  readonly startedAt: number
  /** For a gang: the control's. */
  readonly artifacts: ArtifactTable
  readonly transition: StoredTransition
  /** Names that this join's parents set differently and that it did not resolve: `{ name: [steps] }`. */
  readonly ambiguous?: Readonly<Record<string, readonly string[]>>
  /** For a gang: every member in node order. */
  readonly nodes?: readonly NodeRecord[]
  /** Set when `@catchError` made a failure into this. */
  readonly caught?: Verdict
}

/** As chosen at run time, with the items stored. */
export type StoredTransition =
  | { readonly kind: 'end' }
  | { readonly kind: 'next'; readonly targets: readonly string[] }
  | {
      readonly kind: 'foreach'
      readonly target: string
      readonly items: readonly ArtifactRef[]
      readonly reuse?: boolean
    }
  | { readonly kind: 'gang'; readonly target: string; readonly size: number }

/** One acknowledged piece of a process's output: `blob` holds whole records (log-format.ts has their form). */
export interface LogChunkRecord {
  readonly blob: BlobRef
  /** Line ends in it. */
  readonly lines: number
  /** Names the monotonic clock that gave the times: only times of one clock can be compared. */
  readonly clock?: string
  /** True on the last chunk of a process that ended. */
  readonly last?: boolean
}

const safe = (segment: string | number): string => {
  const text = String(segment)
  if (!/^[A-Za-z0-9._@=-]+$/.test(text)) throw new TypeError(`'${text}' cannot be part of a record's key`)
  return text
}

/** The keys of the records above. */
export const keys = {
  flows: 'flows',
  flow: (flow: string) => `flows/${safe(flow)}`,
  runRoot: (flow: string, run: string) => `flows/${safe(flow)}/${safe(run)}`,
  run: (flow: string, run: string) => `${keys.runRoot(flow, run)}/run`,
  end: (flow: string, run: string) => `${keys.runRoot(flow, run)}/end`,
  owners: (flow: string, run: string) => `${keys.runRoot(flow, run)}/owner`,
  owner: (flow: string, run: string, n: number) => `${keys.owners(flow, run)}/${String(n).padStart(6, '0')}`,
  seen: (flow: string, run: string, n: number) => `${keys.runRoot(flow, run)}/seen/${String(n).padStart(6, '0')}`,
  left: (flow: string, run: string, n: number) => `${keys.runRoot(flow, run)}/left/${String(n).padStart(6, '0')}`,
  /** Since a node was found not to see the datastore, its tasks end with their launcher. */
  relayed: (flow: string, run: string) => `${keys.runRoot(flow, run)}/relayed`,
  tags: (flow: string, run: string) => `${keys.runRoot(flow, run)}/tags`,
  package: (flow: string, run: string, hash: string) => `${keys.runRoot(flow, run)}/packages/${safe(hash)}`,
  journal: (flow: string, run: string) => `${keys.runRoot(flow, run)}/journal`,
  job: (flow: string, run: string, job: string) => `${keys.journal(flow, run)}/${safe(job)}/entry`,
  jobEngine: (flow: string, run: string, job: string) => `${keys.journal(flow, run)}/${safe(job)}/engine`,
  tasks: (flow: string, run: string) => `${keys.runRoot(flow, run)}/tasks`,
  step: (flow: string, run: string, step: string) => `${keys.tasks(flow, run)}/${safe(step)}`,
  taskRoot: (t: TaskAddress) => `${keys.step(t.flow, t.run, t.step)}/${safe(t.task)}`,
  task: (t: TaskAddress) => `${keys.taskRoot(t)}/spec`,
  done: (t: TaskAddress) => `${keys.taskRoot(t)}/done`,
  attempts: (t: TaskAddress) => `${keys.taskRoot(t)}/attempts`,
  attempt: (a: AttemptAddress) => `${keys.attempts(a)}/${a.attempt}`,
  attemptStart: (a: AttemptAddress) => `${keys.attempt(a)}/start`,
  attemptFailed: (a: AttemptAddress) => `${keys.attempt(a)}/failed`,
  node: (a: AttemptAddress, epoch: number, node: number) => `${keys.attempt(a)}/epochs/${epoch}/nodes/${node}`,
  epochHead: (a: AttemptAddress, version: number) => `${keys.attempt(a)}/epochs/${version}/head`,
  epochBeat: (a: AttemptAddress, epoch: number) => `${keys.attempt(a)}/epochs/${epoch}/beat`,
  checkpoint: (a: AttemptAddress, epoch: number, name: string) =>
    `${keys.attempt(a)}/epochs/${epoch}/checkpoints/${safe(name)}`,
  rendezvous: (a: AttemptAddress, version: number) => `${keys.attempt(a)}/rendezvous/${version}`,
  logs: (a: AttemptAddress) => `${keys.attempt(a)}/logs`,
  log: (a: AttemptAddress, epoch: number, node: number, process: string) =>
    `${keys.logs(a)}/${epoch}/${node}/${safe(process)}`,
  logChunk: (a: AttemptAddress, epoch: number, node: number, process: string, chunk: number) =>
    `${keys.log(a, epoch, node, process)}/${String(chunk).padStart(6, '0')}`,
  plan: (a: AttemptAddress, node: number, name: string) => `${keys.attempt(a)}/plans/${node}/${safe(name)}`,
} as const

export interface TaskAddress {
  readonly flow: string
  readonly run: string
  readonly step: string
  readonly task: string
}

export interface AttemptAddress extends TaskAddress {
  readonly attempt: number
}
