import type { PackageOptions } from '../compile/package/contract.js'
import type { PackageSummary } from '../compile/package/summary.js'
import type { RunEndRecord } from '../datastore/records.js'
import type { GangTimeoutOptions } from '../decorators/gang-timeouts.js'
import type { ErrorFacts } from '../errors/base.js'
import type { Duration } from '../errors/duration.js'
import type { Verdict } from '../errors/verdict.js'
import type { FlowDescription, GangTimeouts, PluginUse, Resources, RetryPolicy } from '../flow/description.js'
import type { Json } from '../flow/values.js'

/** Options of `run()` and of `gangflow run`. */
export interface RunOptions {
  readonly parameters?: Readonly<Record<string, unknown>>
  /** `text`: the parameters are a command line's, as typed. Default `value`. */
  readonly parametersAs?: 'value' | 'text'
  /** `local` (default), `ssh`, or a package's. */
  readonly backend?: string
  readonly backendOptions?: Readonly<Record<string, unknown>>
  /** A datastore's location or directory; default `.gangflow/` beside the nearest package.json of the flow. */
  readonly datastore?: string
  readonly tags?: readonly string[]
  /** Tasks at once; default: CPUs that the cgroup allows. */
  readonly maxWorkers?: number
  /** Extra environment for every body. */
  readonly env?: Readonly<Record<string, string>>
  /** Debugger stop in the body of this step (and node). */
  readonly inspect?: { readonly step: string; readonly node?: number }
  /** What travels of the project besides imported code, where a backend's hosts are sent it. */
  readonly package?: PackageOptions
  /** Limit on the whole run. */
  readonly timeout?: Duration
  readonly signal?: AbortSignal
  readonly dryRun?: boolean
  /** How long gangs wait for what; a step's `@parallel({ timeouts })` is over it. */
  readonly gangTimeouts?: GangTimeoutOptions
  /** Leave the run to its jobs as soon as they are handed over. */
  readonly detach?: boolean
  /** Refuse before anything starts a run that could not be left to its jobs. */
  readonly detachable?: boolean
}

/** Options of `attach()` and of `gangflow attach`. */
export interface AttachOptions {
  readonly datastore?: string
  /** Also from a launcher that lives. */
  readonly takeOver?: boolean
  readonly signal?: AbortSignal
}

export interface ResumeOptions extends Omit<RunOptions, 'parameters' | 'parametersAs'> {
  /** Run to resume; default: the newest of the flow. */
  readonly origin?: string
  /** Step to begin again from; default: whatever is not done. */
  readonly from?: string
}

export interface RunHandle {
  /** The flow's name; until the file is read, the file's. */
  readonly flow: string
  /** The command line that does the same. */
  readonly command: string
  /** Settles with the run's id as soon as the run exists. */
  readonly id: Promise<string>
  /** Every event from the start, for any number of readers. */
  readonly events: AsyncIterable<RunEvent>
  /** Settles when the run has ended; rejects only when it could not start. */
  readonly result: Promise<RunResult>
  cancel(reason?: string): void
  /** Whether the run lives in jobs that outlive this process; false until it has begun. */
  readonly detachable: boolean
  /** Leaves the run to its jobs: `result` is then `detached`. False, and nothing happens, where it is not `detachable`. */
  detach(): boolean
}

export interface RunResult {
  readonly flow: string
  readonly run: string
  /** `detached`: its jobs go on, and what comes after them begins once somebody attaches. `taken-over`: another launcher leads it. */
  readonly status: RunEndRecord['status'] | 'detached' | 'taken-over'
  readonly durationMs: number
  /** Of a detached run: ids of the jobs that go on, as their engine calls them. */
  readonly jobs?: readonly string[]
  readonly error?: ErrorFacts
  /** Of a dry run: what each step would ask for. `run` is then `dry-run`. */
  readonly plans?: readonly StepPlan[]
  /** Of a dry run whose backend's hosts are sent the code: what would travel. */
  readonly package?: PackageSummary
}

/** What a step would be started with (DESIGN D6); secrets in environments are masked. */
export interface StepPlan {
  readonly step: string
  readonly kind: 'task' | 'gang'
  /** Members of a gang; what only a body can compute is shown as such, and the request is for one member. */
  readonly size?: number | '<from the step>'
  /** The backend's request for a gang, the process for an ordinary task. */
  readonly request: Json
  readonly resources: Resources
  readonly environment: Readonly<Record<string, string>>
  readonly plugins: readonly PluginUse[]
  /** How often it is tried again, and after what. */
  readonly retry?: RetryPolicy
  /** Milliseconds of `@timeout`, and of a gang's phases where the step or the configuration says. */
  readonly timeoutMs?: number
  readonly gangTimeouts?: Partial<GangTimeouts>
}

export interface TaskId {
  readonly step: string
  readonly task: string
  /** Counts from 0. */
  readonly attempt: number
}

/** What happens in a run, in order; `at` is milliseconds since 1970, for display. */
export type RunEvent = { readonly at: number } & (
  | {
      readonly type: 'run-started'
      readonly flow: string
      readonly run: string
      readonly description: FlowDescription
      readonly origin?: string
      /** It goes on under another launcher: which of its owners this is, how many of its tasks are done, how many are in jobs. */
      readonly attached?: { readonly owner: number; readonly done: number; readonly begun: number }
    }
  /** What a launcher that attaches waits for before. */
  | { readonly type: 'attaching'; readonly text: string }
  | ({ readonly type: 'task-queued' } & TaskId & { readonly gangSize?: number })
  | ({ readonly type: 'task-started' } & TaskId & { readonly pid?: number })
  | ({ readonly type: 'task-reused'; readonly origin: string } & TaskId)
  | ({ readonly type: 'task-done' } & TaskId & { readonly durationMs: number; readonly caught?: boolean })
  | ({ readonly type: 'task-failed' } & TaskId & { readonly verdict: Verdict; readonly retryInMs?: number })
  | ({ readonly type: 'task-cancelled' } & TaskId)
  /** A gang's member changed: `starting`, `joined`, `setup`, `running`, `done`, `failed`, `stopping`, `gone`. */
  | ({
      readonly type: 'member'
      readonly node: number
      readonly host: string
      readonly state: MemberState
      readonly epoch: number
    } & TaskId)
  /** A gang lost members, a sentence for each, and is formed again as epoch `epoch`. */
  | ({
      readonly type: 'epoch'
      readonly epoch: number
      /** That were left, without replacements. */
      readonly members: number
      readonly lost: readonly string[]
      readonly restartsLeft: number
    } & TaskId)
  /** One line of a process's output, without its line end. Lines that the live view had to leave out are counted. */
  | ({
      readonly type: 'line'
      readonly node?: number
      readonly process: string
      readonly stream: 'stdout' | 'stderr'
      readonly text: string
      readonly skipped?: number
    } & TaskId)
  /** Progress or metrics published by the body. */
  | ({ readonly type: 'progress'; readonly node?: number; readonly data: Json } & TaskId)
  /** What a gang's backend does or waits for before its members are there; `host` where it is about one. */
  | ({ readonly type: 'note'; readonly host?: string; readonly text: string } & TaskId)
  /** The flow's code on its way to the hosts of a gang; `moved` counts compressed bytes that were not there before. */
  | ({
      readonly type: 'code'
      readonly phase: 'pack' | 'install'
      readonly node?: number
      /** Of the whole copy. */
      readonly files: number
      readonly bytes: number
      readonly moved: number
      readonly whole?: boolean
    } & TaskId)
  /** A body waits for a debugger at this URL. */
  | ({ readonly type: 'inspect'; readonly node?: number; readonly url: string } & TaskId)
  /** Of a dry run, for each step. */
  | { readonly type: 'plan'; readonly plan: StepPlan }
  | { readonly type: 'package'; readonly summary: PackageSummary }
  | { readonly type: 'stopping'; readonly reason: string }
  | { readonly type: 'run-ended'; readonly result: RunResult }
)

export type MemberState = 'starting' | 'joined' | 'setup' | 'running' | 'done' | 'failed' | 'stopping' | 'gone'

/** The seam between command line or `run()` and the engine; composition wires it. */
export interface Engine {
  run(file: string, options?: RunOptions): RunHandle
  resume(file: string, options?: ResumeOptions): RunHandle
  /** Takes a run up that goes on in its jobs. */
  attach(pathspec: string, options?: AttachOptions): RunHandle
}
