import { GangflowError } from '@gangflow/core'
import { defineStepDecorator, type GangContext } from '@gangflow/core/plugin'
import { mpiCheck } from './doctor.js'
import { casualtyOf } from './explain.js'
import { type Mpi, makeMpi } from './namespace.js'
import type { MpiOptions } from './options.js'
import { openSession, type Session } from './session.js'
import { checkOptions, decoratorNames } from './settings.js'

export type { LaunchPlan } from './launch-plan.js'
export type { Mpi } from './namespace.js'
export type {
  MpiBroadcastOptions,
  MpiBroadcastResult,
  MpiCompileOptions,
  MpiCompileResult,
  MpiLanguage,
  MpiOptions,
  MpiRankResult,
  MpiResult,
  MpiRunOptions,
} from './options.js'

declare module '@gangflow/core' {
  interface CurrentNamespaces {
    mpi: Mpi
  }
}

const sessions = new WeakMap<GangContext, Session>()

/** Makes a step's gang one that `current.mpi` can run MPI programs on. */
export const mpi = defineStepDecorator<MpiOptions, 'mpi'>({
  name: 'mpi',
  apiVersion: 1,
  namespace: 'mpi',
  options: decoratorNames,
  checks: [mpiCheck],
  needs(options) {
    checkOptions(options)
    return { body: options.body ?? 'control', ssh: true }
  },
  async setup(gang, options) {
    const session = openSession(gang, options)
    sessions.set(gang, session)
    return makeMpi(session)
  },
  async wrap(gang, _options, next) {
    try {
      await next()
    } catch (error) {
      // Nobody caught it: the verdict names the rank, not the step that waited for it.
      const casualty = casualtyOf(error)
      if (casualty) await gang.fail(casualty)
      throw error
    }
    if (sessions.get(gang)?.open)
      throw new GangflowError({
        code: 'E_MPI_AWAIT',
        what: `step '${gang.step}' ended while a call of current.mpi was still running`,
        fix: 'await current.mpi.run(…)',
        step: gang.step,
        node: gang.nodeIndex,
      })
  },
})
