import { totalmem } from 'node:os'
import { clusterEngine, type EngineCluster, type EnginePlan, type GangContext, type Json } from '@gangflow/core/plugin'
import { refuseTls } from './environment.js'
import { explain, gaveUp, mayRetry } from './explain.js'
import { Gcs } from './gcs.js'
import { masked } from './mask.js'
import type { RayOptions } from './options.js'
import { logsOf, planRay, ports, type RayPlan } from './plan.js'

/** On a machine that is too busy for Ray's own limits, each start may be the one that gets through. */
const STARTS = 5

/** The cluster of one attempt. */
export interface Session {
  readonly gang: GangContext
  readonly options: RayOptions
  readonly plan: RayPlan
  readonly cluster: EngineCluster
  readonly gcs: Gcs
  readonly token: string
  /** Drivers and jobs so far. */
  calls: number
  /** Those that have not ended. */
  open: number
  close(): Promise<void>
}

/** Forms it: settles when every node is there. */
export async function openSession(gang: GangContext, options: RayOptions): Promise<Session> {
  refuseTls(gang.step)
  const token = Buffer.from(await gang.key('ray')).toString('hex')
  const hosts = gang.roster.entries.map(({ host }) => host)
  const known = new Map<EnginePlan, Gcs>()
  const gcsOf = (plan: EnginePlan) => {
    const gcs = known.get(plan) ?? new Gcs((plan as RayPlan).address, token, hosts)
    known.set(plan, gcs)
    return gcs
  }
  const closeAll = () => {
    for (const gcs of known.values()) gcs.close()
  }
  let starts = 0
  let slow = false
  try {
    const cluster = await clusterEngine(
      gang,
      {
        name: 'ray',
        ports,
        plan(place) {
          const plan = planRay(place, { options, token, memory: totalmem(), oneByOne: slow })
          gang.record(`ray-start-${++starts}`, shown(plan)).catch(() => {})
          return plan
        },
        present: (plan, signal) => gcsOf(plan).present((plan as RayPlan).wanted, signal),
        logs: (plan, node, kind) => logsOf(plan as RayPlan, node, kind),
        explain: (failure) => explain(gang, failure),
        mayRetry(failure) {
          slow = gaveUp(failure)
          return slow || (starts < 2 && mayRetry(failure))
        },
      },
      {
        starts: STARTS,
        ...(options.startTimeout === undefined ? {} : { startTimeout: options.startTimeout }),
        ...(options.silence === undefined ? {} : { silence: options.silence }),
      },
    )
    const plan = cluster.plan as RayPlan
    const close = async () => {
      closeAll()
      await cluster.close()
    }
    return { gang, options, plan, cluster, gcs: gcsOf(plan), token, calls: 0, open: 0, close }
  } catch (error) {
    closeAll()
    throw error
  }
}

/** A plan as it is kept with the task. */
function shown({ head, workers, address }: RayPlan): Json {
  const commands = [{ node: 0, command: head }, ...workers]
  return {
    address,
    commands: commands.map(({ node, command }) => ({ node, argv: command.argv, env: masked(command.env ?? {}) })),
  } as unknown as Json
}
