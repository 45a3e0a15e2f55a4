import type { Cause } from '../errors/verdict.js'
import type { StepDescription } from '../flow/description.js'

/**
 * What runs whole tasks in jobs of an engine: ordinary ones and gangs. The launcher watches over the jobs; each of them
 * runs its task by itself and commits it to the datastore, which its hosts see too. `plan` is pure (D6).
 */
export interface JobBackend<Plan = unknown> {
  plan(request: JobRequest): Plan
  /** How many tasks it takes in one go, at most. Default: a thousand. */
  largest?(): Promise<number>
  /** Hands a plan's tasks over in one go. Rejects when the engine does not take them. `note` is told what it waits for, a clause. */
  submit(plan: Plan, signal: AbortSignal, note?: (text: string) => void): Promise<SubmittedJob>
  /** Takes up tasks of a job that another launcher submitted, by the id that it was given; its tasks in the order of `indices`. */
  adopt(id: string, plan: Plan, indices: readonly number[]): Promise<SubmittedJob>
  /** The id of the job of an equal request, where the engine has one: its launcher may have died before it was told. Rejects when the engine does not answer. */
  find(request: JobRequest): Promise<string | undefined>
  /** Ends the watching; jobs go on. */
  close(): void
}

/** Tasks of one step that ask for the same: one job, or one array of jobs. */
export interface JobRequest {
  readonly flow: string
  readonly run: string
  readonly step: StepDescription
  /** Members of a gang; absent for ordinary tasks. */
  readonly gangSize?: number
  /** How many tasks, each on its own. */
  readonly count: number
  /** How many of them at once. Default: as many as the engine lets. */
  readonly atOnce?: number
  /** What runs in each of them; the task's index and the job's id, as the engine calls it, are added as the last words. */
  readonly argv: readonly string[]
  /** Directory and prefix of the files into which each one's output goes: `PREFIX-INDEX`. */
  readonly output: { readonly directory: string; readonly prefix: string }
  /** Directory that every node must see: the datastore's. */
  readonly datastore: string
  readonly workdir: string
}

export interface SubmittedJob {
  /** As the engine calls it. */
  readonly id: string
  /** In the order of the indices. */
  readonly tasks: readonly JobTask[]
}

/** One task of a job, as the engine has it. */
export interface JobTask {
  readonly id: string
  /** The file that its output goes to. */
  readonly output: string
  /** Settles when the engine has ended it and does not start it again. Never rejects. */
  readonly ended: Promise<JobEnd>
  /** Told of what the engine says of it, as a clause: a place in the queue, a reason. */
  onNote(listener: (text: string) => void): void
  /** Asks for its end. Rejects where the engine has not heard it in time, or when `signal` aborts: it may then go on. */
  cancel(signal?: AbortSignal): Promise<void>
}

/** How the engine says that a job ended. */
export interface JobEnd {
  /** In the engine's own word. */
  readonly state: string
  /** Absent: it ended well, as far as the engine knows. */
  readonly cause?: Cause
  /** A clause: `ran out of memory`. */
  readonly summary: string
  readonly fix?: string
  readonly host?: string
  readonly exitCode?: number
  readonly signal?: string
  /** How often the engine has started it again. */
  readonly restarts?: number
  /** Its node does not see the datastore: nothing of the task was begun. */
  readonly unseen?: boolean
}

/** What an engine says of a job that it is about to end. */
export interface JobWarning {
  readonly cause: 'preempted' | 'time-limit'
  /** Until its end; absent where the engine does not say. */
  readonly leftMs?: number
  /** How often it may be put back into the queue for this cause. */
  readonly times: number
}
