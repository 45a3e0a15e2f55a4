import { GangflowError } from '@gangflow/core'
import { defineStepDecorator, type GangContext } from '@gangflow/core/plugin'
import { openBackend } from './backends/choose.js'
import { backendCheck } from './backends/doctor.js'
import { collectives } from './collectives/gang.js'
import type { SavedTraining } from './strategies/checkpoint.js'
import { Metrics } from './strategies/metrics.js'
import { modelCodec } from './strategies/model-codec.js'
import { MultiWorkerMirroredStrategy } from './strategies/multi-worker.js'
import type { TensorFlow } from './strategies/namespace.js'
import { checkOptions, decoratorNames, type TensorflowOptions } from './strategies/options.js'
import { prepareLibrary } from './strategies/threads.js'

export { type BackendOptions, type Chosen, openBackend } from './backends/choose.js'
export { loadBackend } from './backends/load.js'
export type { BackendName } from './backends/names.js'
export type { Finding } from './backends/probe.js'
export type { Tf } from './backends/tf.js'
export type { NanPolicy } from './strategies/gradients.js'
export type { EpochMetrics } from './strategies/metrics.js'
export { type Batch, MultiWorkerMirroredStrategy } from './strategies/multi-worker.js'
export type { TensorFlow } from './strategies/namespace.js'
export type { StrategyOptions, TensorflowOptions } from './strategies/options.js'

declare module '@gangflow/core' {
  interface CurrentNamespaces {
    tf: TensorFlow
  }
}

const open = new WeakMap<GangContext, { namespace: TensorFlow; metrics: Metrics }>()

/** Makes a step's gang one that TensorFlow.js trains over: its code runs on every member. */
export const tensorflow = defineStepDecorator<TensorflowOptions, 'tf'>({
  name: 'tensorflow',
  apiVersion: 1,
  namespace: 'tf',
  options: decoratorNames,
  checks: [backendCheck],
  codecs: [modelCodec],
  needs(options) {
    checkOptions(options)
    return { body: 'all' }
  },
  async setup(gang, { backend, checkpointEvery, timeout, ...options }) {
    const { flowDir: folder, signal, isControl } = gang
    prepareLibrary(gang.roster, gang.nodeIndex)
    const chosen = await openBackend({
      folder,
      signal,
      ...(backend ? { backend } : {}),
      agree: (own) => gang.allGather(own),
      ...(isControl ? { log: (line: string) => console.error(`[gangflow] ${line}`) } : {}),
    })
    const metrics = new Metrics(gang)
    const ofGang = await collectives(gang, timeout === undefined ? {} : { timeout })
    const strategy = new MultiWorkerMirroredStrategy(chosen.tf, ofGang, options, {
      endEpoch: (training, end) => metrics.add(training, end),
      ...(checkpointEvery ? { store: storeOf(gang, checkpointEvery) } : {}),
    })
    const namespace = { tf: chosen.tf, backend: chosen.name, strategy, metrics: metrics.series, collectives: ofGang }
    open.set(gang, { namespace, metrics })
    return namespace
  },
  async wrap(gang, _options, next) {
    await next()
    if (open.get(gang)?.namespace.strategy.open)
      throw new GangflowError({
        code: 'E_TF_AWAIT',
        what: `step '${gang.step}' ended while a model was still training`,
        fix: 'await model.fit(…)',
        step: gang.step,
        node: gang.nodeIndex,
      })
    await open.get(gang)?.metrics.keep()
  },
  async teardown(gang, outcome) {
    // After a failure the others may wait in a call that this member will not make: they are ended by the gang.
    if (outcome.ok) await open.get(gang)?.namespace.collectives.close()
  },
})

const storeOf = (gang: GangContext, every: number) => ({
  every,
  save: (training: number, saved: SavedTraining) => gang.checkpoint.save(`tf-training-${training}`, saved),
  load: (training: number) => gang.checkpoint.load<SavedTraining>(`tf-training-${training}`),
})

/** The same decorator, named after the library. */
export { tensorflow as tfjs }
