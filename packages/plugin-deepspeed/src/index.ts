import { GangflowError } from '@gangflow/core'
import { defineStepDecorator, type GangContext } from '@gangflow/core/plugin'
import { openRanks } from '@gangflow/plugin-torchrun/ranks'
import { deepspeedCheck } from './doctor.js'
import { type DeepSpeed, makeDeepSpeed, type Session } from './namespace.js'
import type { DeepSpeedOptions } from './options.js'
import { checkOptions, decoratorNames, family, rankOptions } from './settings.js'

export type { DeepSpeed } from './namespace.js'
export type { DeepSpeedLauncher, DeepSpeedOptions, DeepSpeedResult, DeepSpeedRunOptions } from './options.js'

declare module '@gangflow/core' {
  interface CurrentNamespaces {
    deepspeed: DeepSpeed
  }
}

const sessions = new WeakMap<GangContext, Session>()

/** Makes a step's gang one that `current.deepspeed.run` can train on. */
export const deepspeed = defineStepDecorator<DeepSpeedOptions, 'deepspeed'>({
  name: 'deepspeed',
  apiVersion: 1,
  namespace: 'deepspeed',
  options: decoratorNames,
  checks: [deepspeedCheck],
  needs(options) {
    checkOptions(options)
    return { body: 'all' }
  },
  async setup(gang, options) {
    const ranks = openRanks(gang, rankOptions(options), family)
    const session: Session = { gang, options, ranks, calls: 0, open: 0 }
    sessions.set(gang, session)
    return makeDeepSpeed(session)
  },
  async wrap(gang, _options, next) {
    await next()
    if (sessions.get(gang)?.open)
      throw new GangflowError({
        code: 'E_DEEPSPEED_AWAIT',
        what: `step '${gang.step}' ended while current.deepspeed.run was still running`,
        fix: 'await current.deepspeed.run(…)',
        step: gang.step,
        node: gang.nodeIndex,
      })
  },
})
