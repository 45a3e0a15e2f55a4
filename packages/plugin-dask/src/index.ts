import { GangflowError } from '@gangflow/core'
import { clusterEngine, defineStepDecorator, type GangContext, type Json } from '@gangflow/core/plugin'
import { selfSigned } from './certificate.js'
import { daskCheck } from './doctor.js'
import { explain, mayRetry } from './explain.js'
import { type Dask, makeDask, type Session } from './namespace.js'
import type { DaskOptions } from './options.js'
import { type DaskPlan, planDask, ports } from './plan.js'
import { present } from './present.js'
import { checkOptions, decoratorNames } from './settings.js'

export type { Dask } from './namespace.js'
export type { DaskOptions, DaskResult, DaskRunOptions } from './options.js'

declare module '@gangflow/core' {
  interface CurrentNamespaces {
    dask: Dask
  }
}

const sessions = new WeakMap<GangContext, Session>()

/** Forms a Dask cluster on a step's gang; the step's code runs on the control, beside Dask's scheduler. */
export const dask = defineStepDecorator<DaskOptions, 'dask'>({
  name: 'dask',
  apiVersion: 1,
  namespace: 'dask',
  options: decoratorNames,
  checks: [daskCheck],
  needs(options) {
    checkOptions(options)
    return { body: 'control' }
  },
  async setup(gang, options) {
    const certificate = selfSigned('gangflow', 365)
    let starts = 0
    const engine = {
      name: 'dask',
      ports,
      plan(place: Parameters<typeof planDask>[0]) {
        const plan = planDask(place, options, certificate)
        gang.record(`dask-start-${++starts}`, shown(plan)).catch(() => {})
        return plan
      },
      present: (plan: unknown, signal: AbortSignal) => present(plan as DaskPlan, certificate, signal),
      explain: (failure: Parameters<typeof explain>[1]) => explain(gang, failure),
      mayRetry,
    }
    const limits = options.startTimeout === undefined ? {} : { startTimeout: options.startTimeout }
    const cluster = await clusterEngine(gang, engine, { ...limits, silence: options.silence ?? '30s' })
    const session: Session = { gang, options, plan: cluster.plan as DaskPlan, cluster, calls: 0, open: 0 }
    sessions.set(gang, session)
    return makeDask(session)
  },
  async wrap(gang, _options, next) {
    await next()
    if (sessions.get(gang)?.open)
      throw new GangflowError({
        code: 'E_DASK_AWAIT',
        what: `step '${gang.step}' ended while a call of current.dask was still running`,
        fix: 'await current.dask.run(…)',
        step: gang.step,
        node: gang.nodeIndex,
      })
  },
  async teardown(gang) {
    await sessions.get(gang)?.cluster.close()
  },
})

/** A plan as it is kept with the task: without its key. */
const shown = ({ head, workers, address }: DaskPlan): Json =>
  ({
    address,
    commands: [{ node: 0, argv: head.argv }, ...workers.map(({ node, command }) => ({ node, argv: command.argv }))],
  }) as Json
