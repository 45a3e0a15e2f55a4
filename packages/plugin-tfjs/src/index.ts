import { GangflowError } from '@gangflow/core'
import { defineStepDecorator, type GangContext } from '@gangflow/core/plugin'
import { openBackend } from './backends/choose.js'
import { backendCheck } from './backends/doctor.js'
import { collectives } from './collectives/gang.js'
import { MultiWorkerMirroredStrategy } from './strategies/multi-worker.js'
import type { TensorFlow } from './strategies/namespace.js'
import { checkOptions, decoratorNames, type TensorflowOptions } from './strategies/options.js'

export { type BackendOptions, type Chosen, openBackend } from './backends/choose.js'
export { loadBackend } from './backends/load.js'
export type { BackendName } from './backends/names.js'
export type { Finding } from './backends/probe.js'
export type { Tf } from './backends/tf.js'
export type { NanPolicy } from './strategies/gradients.js'
export { type Batch, MultiWorkerMirroredStrategy } from './strategies/multi-worker.js'
export type { TensorFlow } from './strategies/namespace.js'
export type { StrategyOptions, TensorflowOptions } from './strategies/options.js'

declare module '@gangflow/core' {
  interface CurrentNamespaces {
    tf: TensorFlow
  }
}

const open = new WeakMap<GangContext, TensorFlow>()

/** Makes a step's gang one that TensorFlow.js trains over: its code runs on every member. */
export const tensorflow = defineStepDecorator<TensorflowOptions, 'tf'>({
  name: 'tensorflow',
  apiVersion: 1,
  namespace: 'tf',
  options: decoratorNames,
  checks: [backendCheck],
  needs(options) {
    checkOptions(options)
    return { body: 'all' }
  },
  async setup(gang, { backend, ...options }) {
    const { flowDir: folder, signal, isControl } = gang
    const chosen = await openBackend({
      folder,
      signal,
      ...(backend ? { backend } : {}),
      agree: (own) => gang.allGather(own),
      ...(isControl ? { log: (line: string) => console.error(`[gangflow] ${line}`) } : {}),
    })
    const ofGang = await collectives(gang)
    const strategy = new MultiWorkerMirroredStrategy(chosen.tf, ofGang, options)
    const namespace = { tf: chosen.tf, backend: chosen.name, strategy, collectives: ofGang }
    open.set(gang, namespace)
    return namespace
  },
  async wrap(gang, _options, next) {
    await next()
    if (open.get(gang)?.strategy.open)
      throw new GangflowError({
        code: 'E_TF_AWAIT',
        what: `step '${gang.step}' ended while a model was still training`,
        fix: 'await model.fit(…)',
        step: gang.step,
        node: gang.nodeIndex,
      })
  },
  async teardown(gang, outcome) {
    // After a failure the others may wait in a call that this member will not make: they are ended by the gang.
    if (outcome.ok) await open.get(gang)?.collectives.close()
  },
})

/** The same decorator, named after the library. */
export { tensorflow as tfjs }
