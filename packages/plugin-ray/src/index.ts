import { GangflowError } from '@gangflow/core'
import { defineStepDecorator, type GangContext } from '@gangflow/core/plugin'
import { rayCheck } from './doctor.js'
import { makeRay, type Ray } from './namespace.js'
import type { RayOptions } from './options.js'
import { openSession, type Session } from './session.js'
import { checkOptions, decoratorNames } from './settings.js'

export type { Ray } from './namespace.js'
export type {
  RayExecOptions,
  RayJobResult,
  RayJobStatus,
  RayNode,
  RayOptions,
  RayResult,
  RayRunOptions,
  RaySubmitOptions,
} from './options.js'

declare module '@gangflow/core' {
  interface CurrentNamespaces {
    ray: Ray
  }
}

const sessions = new WeakMap<GangContext, Session>()

/** Forms a Ray cluster on a step's gang; the step's code runs on the control, beside Ray's head. */
export const ray = defineStepDecorator<RayOptions, 'ray'>({
  name: 'ray',
  apiVersion: 1,
  namespace: 'ray',
  options: decoratorNames,
  checks: [rayCheck],
  needs(options) {
    checkOptions(options)
    return { body: 'control' }
  },
  async setup(gang, options) {
    const session = await openSession(gang, options)
    sessions.set(gang, session)
    return makeRay(session)
  },
  async wrap(gang, _options, next) {
    await next()
    if (sessions.get(gang)?.open)
      throw new GangflowError({
        code: 'E_RAY_AWAIT',
        what: `step '${gang.step}' ended while a call of current.ray was still running`,
        fix: 'await current.ray.run(…)',
        step: gang.step,
        node: gang.nodeIndex,
      })
  },
  async teardown(gang) {
    await sessions.get(gang)?.close()
  },
})
