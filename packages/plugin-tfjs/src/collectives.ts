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
export { partOf } from './collectives/split.js'
