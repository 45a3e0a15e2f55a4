/** Collectives over the bodies of a gang, or over any processes. */
export { connect } from './collectives/connect.js'
export type {
  BufferKind,
  BufferOf,
  CallOptions,
  Collectives,
  ConnectOptions,
  IntoOptions,
  Listen,
  Numbers,
  Part,
  Place,
  ReduceOptions,
  Reduction,
  Values,
} from './collectives/contract.js'
export { collectives, type GangCollectivesOptions } from './collectives/gang.js'
export { mpiCollectives } from './collectives/mpi.js'
export { partOf } from './collectives/split.js'
export { type TensorCollectives, type TensorLike, type TensorMaker, tensorCollectives } from './collectives/tensors.js'
export { joinThreads, shareThreads, type ThreadShare } from './collectives/threads.js'
