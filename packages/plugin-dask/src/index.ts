import { GangflowError } from '@gangflow/core'
import { defineStepDecorator, type GangContext } from '@gangflow/core/plugin'
import { daskCheck } from './doctor.js'
import { type Dask, makeDask } from './namespace.js'
import type { DaskOptions } from './options.js'
import { openSession, type Session } from './session.js'
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
    const session = await openSession(gang, options)
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
