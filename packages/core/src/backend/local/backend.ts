import type { GangBackend, TransportKind } from '../../gang/contract.js'
import type { Keeper } from '../../process/contract.js'
import { LocalGang, type LocalStart } from './gang.js'
import { type LocalMachine, type LocalPlan, planLocal, thisMachine } from './plan.js'
import { LocalSpares } from './spares.js'

export interface LocalBackendOptions {
  /** The run's root keeper: agents hang below it, and what escapes them comes to it. */
  readonly keeper: Keeper
  /** Absolute path of the built `agent.cjs`. */
  readonly agent: string
  /** How members reach each other. Default `unix`; `ssh` as on several hosts. */
  readonly transport?: TransportKind
  /** Default: what this machine is found to have. */
  readonly machine?: LocalMachine
  /** Environment of the agents, and so of all that they start. Default: this process's. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /**
   * Directory in which the members keep what a host of their own would: they then open nothing of the datastore and reach
   * it through the owner, as on other hosts. Default: they open it.
   */
  readonly apart?: string
}

/** Members as processes of this machine, each with an agent of its own session. */
export function localBackend(options: LocalBackendOptions): GangBackend<LocalPlan> {
  const machine = options.machine ?? thisMachine()
  const start: LocalStart = {
    keeper: options.keeper,
    env: definedOnly(options.env ?? process.env),
    apart: options.apart,
  }
  const spares = new LocalSpares(start)
  return {
    name: 'local',
    ...(options.transport ? { transport: options.transport } : {}),
    ...(options.apart === undefined ? {} : { datastore: 'relayed', code: 'local' }),
    plan: (request) => planLocal(request, machine, [process.execPath, options.agent]),
    start: async (plan, bootstrap, signal) => {
      signal.throwIfAborted()
      const spare = await spares.take(plan, bootstrap)
      if (spare) return spare.allocation(bootstrap)
      const gang = await LocalGang.open(plan, bootstrap, start)
      await gang.begin(bootstrap, signal)
      return gang.allocation(bootstrap)
    },
    prepare: (plan, prelude) => spares.prepare(plan, prelude),
  }
}

const definedOnly = (env: Readonly<Record<string, string | undefined>>): Record<string, string> =>
  Object.fromEntries(Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined))
