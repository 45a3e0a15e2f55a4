import type { CompiledFlow } from '../compile/contract.js'
import type { GangTimeouts } from '../flow/description.js'
import type { Json } from '../flow/values.js'
import type { PlannedTask } from './plan.js'

/** With what a run in an engine's jobs was started: who takes it up goes on alike. */
export interface LaunchRecord {
  readonly backend: string
  readonly options: Readonly<Record<string, Json>>
  readonly compiled: Pick<CompiledFlow, 'file' | 'bundle' | 'core' | 'ref'>
  readonly env: Readonly<Record<string, string>>
  readonly tags: readonly string[]
  readonly gangTimeouts: Partial<GangTimeouts>
  /** Tasks at once, where somebody said so. */
  readonly atOnce?: number
  /** Limit on the whole run, milliseconds from the start of each of its launchers. */
  readonly timeoutMs?: number
}

/** What a job is to do: read by the process that runs in it. */
export interface JobRecord extends Omit<LaunchRecord, 'atOnce' | 'timeoutMs'> {
  readonly version: 1
  /** By index. */
  readonly tasks: readonly { readonly task: PlannedTask; readonly attempt: number }[]
}

/** The first line that a job writes at each of its starts. */
export interface JobBegan {
  readonly type: 'job-began'
  /** How often the engine has started it again. */
  readonly restarts: number
}

/** Its task is committed: what it still does is to store its output, and to end. */
export interface JobDone {
  readonly type: 'job-done'
}

/** The last line that a job writes of itself: the record of its end is in the datastore. */
export interface JobLast {
  readonly type: 'job-ended'
  readonly ok: boolean
  readonly restarts?: number
  /** It was told to end by a signal: the engine knows why. */
  readonly stopped?: boolean
}
