import type { BodyHost, BodySpec } from '../body/contract.js'
import type { CompiledFlow } from '../compile/contract.js'
import type { Datastore } from '../datastore/contract.js'
import type { RunRecord } from '../datastore/records.js'
import type { FlowDescription, GangTimeouts, StepDescription } from '../flow/description.js'
import type { GangBackend, RunGang } from '../gang/contract.js'
import type { Keeper } from '../process/contract.js'
import type { Capacity, Lease } from './admission.js'
import type { RunOptions } from './contract.js'
import type { RunControl } from './control.js'
import type { Jobs } from './jobs.js'
import type { Journal } from './journal.js'
import type { NextGang } from './next-gang.js'

/** What a run is made of; `composition/` puts it together. */
export interface RunContext {
  readonly record: RunRecord
  readonly tags: readonly string[]
  readonly compiled: CompiledFlow
  readonly datastore: Datastore
  readonly keeper: Keeper
  readonly host: BodyHost
  readonly runGang: RunGang
  readonly nextGang: NextGang
  readonly backend: GangBackend
  /** Its tasks run in jobs of the backend's engine: then nothing of them runs here. */
  readonly jobs?: Jobs
  /** With them: what is decided about them. */
  readonly journal?: Journal
  readonly capacity: Capacity
  readonly control: RunControl
  /** A directory of this run, for its attempts' temporary files. */
  readonly temp: string
  /** What every body of this machine inherits. */
  readonly baseEnv: Readonly<Record<string, string>>
  /** `--env`, over it. */
  readonly env: Readonly<Record<string, string>>
  readonly inspect?: RunOptions['inspect']
  /** How often an engine has started this process's job again. */
  readonly restarts?: number
  /** Of the configuration: under those of a step. */
  readonly gangTimeouts: Partial<GangTimeouts>
}

/** What is enough to start a body. */
export type BodyContext = Pick<RunContext, 'compiled' | 'host' | 'baseEnv' | 'env' | 'inspect'>

export function stepsOf(description: FlowDescription): ReadonlyMap<string, StepDescription> {
  return new Map(description.steps.map((step) => [step.name, step]))
}

/** By step: equal specs are one object, so that whoever compares them looks once. */
const specs = new WeakMap<BodyHost, Map<string, BodySpec>>()

/** The process that a task of the step needs. Devices given to the task narrow what its frameworks see. */
export function bodySpec(context: BodyContext, step: StepDescription, lease?: Lease): BodySpec {
  const { compiled, baseEnv, host } = context
  const gpus = lease && lease.gpus.length > 0 ? { CUDA_VISIBLE_DEVICES: lease.gpus.join(',') } : {}
  const own = { ...step.environment, ...gpus }
  const known = specs.get(host) ?? new Map<string, BodySpec>()
  specs.set(host, known)
  const key = JSON.stringify(own)
  const spec = known.get(key) ?? { compiled, env: { ...baseEnv, ...context.env, ...own } }
  known.set(key, spec)
  return spec
}
