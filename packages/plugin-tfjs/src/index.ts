import { GangflowError } from '@gangflow/core'
import { defineStepDecorator, type GangContext } from '@gangflow/core/plugin'
import { openBackend } from './backends/choose.js'
import { backendCheck } from './backends/doctor.js'
import { collectives } from './collectives/gang.js'
import type { SavedTraining, TrainingStore } from './strategies/checkpoint.js'
import type { TrainingHooks } from './strategies/fit.js'
import { Metrics } from './strategies/metrics.js'
import { modelCodec } from './strategies/model-codec.js'
import { MultiWorkerMirroredStrategy } from './strategies/multi-worker.js'
import type { TensorFlow } from './strategies/namespace.js'
import { checkOptions, decoratorNames, type TensorflowOptions } from './strategies/options.js'
import { openParameterServer } from './strategies/parameter-server/open.js'
import type { ParameterServerOptions } from './strategies/parameter-server/strategy.js'
import { prepareLibrary } from './strategies/threads.js'

export { type BackendOptions, type Chosen, openBackend } from './backends/choose.js'
export { loadBackend } from './backends/load.js'
export type { BackendName } from './backends/names.js'
export type { Finding } from './backends/probe.js'
export type { Tf } from './backends/tf.js'
export { type MirroredOptions, MirroredStrategy } from './mirrored/strategy.js'
export type { NanPolicy } from './strategies/gradients.js'
export type { EpochMetrics } from './strategies/metrics.js'
export { type Batch, MultiWorkerMirroredStrategy } from './strategies/multi-worker.js'
export type { TensorFlow } from './strategies/namespace.js'
export type { StrategyOptions, TensorflowOptions } from './strategies/options.js'
export type { ParameterServerOptions, ParameterServerStrategy } from './strategies/parameter-server/strategy.js'

declare module '@gangflow/core' {
  interface CurrentNamespaces {
    tf: TensorFlow
  }
}

interface Opened {
  readonly namespace: TensorFlow
  readonly metrics: Metrics
  readonly strategies: { readonly open: number }[]
  readonly closing: (() => Promise<void>)[]
}

const open = new WeakMap<GangContext, Opened>()

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
    const tuning = timeout === undefined ? {} : { timeout }
    const ofGang = await collectives(gang, tuning)
    const { tf, name } = chosen
    const hooks: TrainingHooks = {
      trainings: { begun: 0 },
      endEpoch: (training, end) => metrics.add(training, end),
      ...(checkpointEvery ? { store: storeOf(gang, checkpointEvery) } : {}),
    }
    const strategy = new MultiWorkerMirroredStrategy(tf, ofGang, options, hooks)
    const strategies: Opened['strategies'] = [strategy]
    const closing = [() => ofGang.close()]
    const parameterServer = async (asked: ParameterServerOptions = {}) => {
      const all = { ...options, ...asked }
      const one = await openParameterServer(tf, gang, ofGang, all, hooks, tuning)
      strategies.push(one.strategy)
      closing.push(one.close)
      return one.strategy
    }
    const shared = { metrics: metrics.series, collectives: ofGang }
    const namespace: TensorFlow = { tf, backend: name, strategy, parameterServer, ...shared }
    open.set(gang, { namespace, metrics, strategies, closing })
    return namespace
  },
  async wrap(gang, _options, next) {
    await next()
    if (open.get(gang)?.strategies.some((strategy) => strategy.open > 0))
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
    if (outcome.ok) await Promise.all(open.get(gang)?.closing.map((close) => close()) ?? [])
  },
})

const storeOf = (gang: GangContext, every: number): TrainingStore => ({
  every,
  save: (training: number, saved: SavedTraining) => gang.checkpoint.save(`tf-training-${training}`, saved),
  load: (training: number) => gang.checkpoint.load<SavedTraining>(`tf-training-${training}`),
})

/** The same decorator, named after the library. */
export { tensorflow as tfjs }
