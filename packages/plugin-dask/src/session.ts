import {
  clusterEngine,
  type EngineCluster,
  type EngineFailure,
  type GangContext,
  type Json,
} from '@gangflow/core/plugin'
import { type Certificate, selfSigned } from './certificate.js'
import { explain, mayRetry } from './explain.js'
import { type MemoryWatch, watchMemory } from './memory.js'
import type { DaskOptions } from './options.js'
import { type DaskPlan, planDask, ports } from './plan.js'
import { answering, dashboardMissing, workersOf } from './present.js'

/** The cluster of one attempt. */
export interface Session {
  readonly gang: GangContext
  readonly options: DaskOptions
  readonly plan: DaskPlan
  readonly cluster: EngineCluster
  readonly hasDashboard: boolean
  /** Calls so far, and those that have not ended. */
  calls: number
  open: number
}

/** Forms it: settles when every worker is there. */
export async function openSession(gang: GangContext, options: DaskOptions): Promise<Session> {
  const certificate = selfSigned('gangflow', 365)
  let memory = watchMemory()
  let starts = 0
  const cluster = await clusterEngine(
    gang,
    {
      name: 'dask',
      ports,
      plan(place) {
        memory = watchMemory()
        const plan = planDask(place, options, certificate)
        gang.record(`dask-start-${++starts}`, shown(plan)).catch(() => {})
        return plan
      },
      present: (plan, signal) => present(gang, plan as DaskPlan, { certificate, memory, signal }),
      explain: (failure: EngineFailure) => explain(gang, failure, memory),
      mayRetry,
    },
    {
      ...(options.startTimeout === undefined ? {} : { startTimeout: options.startTimeout }),
      silence: options.silence ?? '30s',
    },
  )
  const plan = cluster.plan as DaskPlan
  const hasDashboard = options.dashboard === true && !(await isMissing(plan))
  return { gang, options, plan, cluster, hasDashboard, calls: 0, open: 0 }
}

/** Who is there; on the way, what the workers' memory asks for. */
async function present(
  gang: GangContext,
  plan: DaskPlan,
  about: { readonly certificate: Certificate; readonly memory: MemoryWatch; readonly signal: AbortSignal },
): Promise<number[]> {
  const workers = await workersOf(plan, about.signal)
  const { lines, over } = about.memory.look(workers)
  for (const line of lines) console.error(`[gangflow] ${line}`)
  for (const { node } of over) {
    const argv = ['/bin/sh', '-c', 'kill -KILL "$(cat "$1")"', 'sh', plan.pidFiles[node]!]
    gang.exec([node], { name: 'dask-memory', argv, show: false }).catch(() => {})
  }
  const nodes = workers.map(({ node }) => node).sort((a, b) => a - b)
  return answering(plan, nodes, about.certificate, about.signal)
}

async function isMissing(plan: DaskPlan): Promise<boolean> {
  const missing = await dashboardMissing(plan, AbortSignal.timeout(10_000)).catch(() => false)
  if (missing) console.error('[gangflow] there is no dashboard: it needs bokeh in the Python of the control')
  return missing
}

/** A plan as it is kept with the task: without its key. */
const shown = ({ head, workers, address }: DaskPlan): Json =>
  ({
    address,
    commands: [{ node: 0, argv: head.argv }, ...workers.map(({ node, command }) => ({ node, argv: command.argv }))],
  }) as Json
