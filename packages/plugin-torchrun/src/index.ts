import { GangflowError } from '@gangflow/core'
import { defineStepDecorator, type GangContext } from '@gangflow/core/plugin'
import { torchCheck } from './doctor.js'
import { torchFamily } from './family.js'
import { makeTorch, type Torch } from './namespace.js'
import type { TorchrunOptions } from './options.js'
import { findPython } from './python.js'
import { openPrefork, type Session } from './session.js'
import { checkOptions, decoratorNames, settle } from './settings.js'

export type { Torch } from './namespace.js'
export type {
  Arguments,
  ArgumentValue,
  Launcher,
  TorchRankResult,
  TorchResult,
  TorchRunOptions,
  TorchrunOptions,
} from './options.js'
export type { PlannedProcess, TorchPlan } from './plan.js'

declare module '@gangflow/core' {
  interface CurrentNamespaces {
    torch: Torch
  }
}

const sessions = new WeakMap<GangContext, Session>()

/** Makes a step's gang one that `current.torch.run` can train on. */
export const torchrun = defineStepDecorator<TorchrunOptions, 'torch'>({
  name: 'torchrun',
  apiVersion: 1,
  namespace: 'torch',
  options: decoratorNames,
  checks: [torchCheck],
  needs(options) {
    checkOptions(options)
    return { body: 'all' }
  },
  async setup(gang, options) {
    const session: Session = { gang, options, family: torchFamily, calls: 0, open: 0, prefork: undefined }
    sessions.set(gang, session)
    // The parent imports torch while the other members' bodies are still coming up.
    if (options.launcher === 'prefork') {
      const settings = settle(options, { entrypoint: '-' })
      session.prefork = await openPrefork(session, settings, findPython(settings.python, gang.flowDir, process.env))
    }
    return makeTorch(session)
  },
  async wrap(gang, _options, next) {
    await next()
    if (sessions.get(gang)?.open)
      throw new GangflowError({
        code: 'E_TORCH_AWAIT',
        what: `step '${gang.step}' ended while current.torch.run was still running`,
        fix: 'await current.torch.run(…)',
        step: gang.step,
        node: gang.nodeIndex,
      })
  },
  async teardown(gang) {
    await sessions.get(gang)?.prefork?.process.stop()
  },
})
