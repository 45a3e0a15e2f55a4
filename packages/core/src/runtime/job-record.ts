import type { CompiledFlow } from '../compile/contract.js'
import type { GangTimeouts } from '../flow/description.js'
import type { Json } from '../flow/values.js'
import type { PlannedTask } from './plan.js'

/** What a job is to do: read by the process that runs in it. */
export interface JobRecord {
  readonly version: 1
  readonly backend: string
  readonly options: Readonly<Record<string, Json>>
  readonly compiled: Pick<CompiledFlow, 'file' | 'bundle' | 'core' | 'ref'>
  readonly env: Readonly<Record<string, string>>
  readonly tags: readonly string[]
  readonly gangTimeouts: Partial<GangTimeouts>
  /** By index. */
  readonly tasks: readonly { readonly task: PlannedTask; readonly attempt: number }[]
}

/** Under which name the engine has it. */
export interface JobSubmitted {
  readonly id: string
}

/** The first line that a job writes at each of its starts. */
export interface JobBegan {
  readonly type: 'job-began'
  /** How often the engine has started it again. */
  readonly restarts: number
}

/** The last line that a job writes of itself: the record of its end is in the datastore. */
export interface JobLast {
  readonly type: 'job-ended'
  readonly ok: boolean
  readonly restarts?: number
  /** It was told to end by a signal: the engine knows why. */
  readonly stopped?: boolean
}
