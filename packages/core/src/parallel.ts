export type { ErrorFacts } from './errors/base.js'
export { GangflowError } from './errors/base.js'
export { type CapturedFunction, captureFunction, rebuildFunction } from './parallel-map/carry.js'
export type {
  Items,
  IterOptions,
  MapFunction,
  MapOptions,
  MapProgress,
  ParallelIterOptions,
  ParallelMapOptions,
  PoolOptions,
  WorkerContext,
} from './parallel-map/contract.js'
export { move, parallelMap, shared, Vectorizer, WorkerPool } from './parallel-map/exports.js'
export { ItemError } from './parallel-map/item-error.js'
export type { ParallelMap } from './parallel-map/parallel-map.js'
export { progressChannel } from './parallel-map/progress-channel.js'
export type { VectorizerOptions } from './parallel-map/vectorizer.js'
