import { GangflowError } from '@gangflow/core'
import { kindOf } from './check.js'
import type { CallOptions, Collectives, Numbers, ReduceOptions, Values } from './contract.js'

/** What is used of a tensor. */
export interface TensorLike {
  readonly shape: number[]
  readonly dtype: string
  data(): Promise<unknown>
  dataSync(): unknown
}

/** What is used of TensorFlow.js: give `tf` itself. */
export interface TensorMaker<T extends TensorLike> {
  tensor(values: never, shape: number[], dtype: never): T
}

/** Collectives on tensors (float32, int32; bool to gather and broadcast): each gives a new tensor, and disposes of none. */
export interface TensorCollectives<T extends TensorLike> {
  allReduce(tensor: T, options?: ReduceOptions): Promise<T>
  allReduceSync(tensor: T, options?: ReduceOptions): T
  /** Tensors of one shape, one after the other along the first axis; of scalars, a vector. */
  allGather(tensor: T, options?: CallOptions): Promise<T>
  allGatherSync(tensor: T, options?: CallOptions): T
  broadcast(tensor: T, options?: CallOptions & { readonly from?: number }): Promise<T>
  broadcastSync(tensor: T, options?: CallOptions & { readonly from?: number }): T
}

/** The same collectives for tensors of the TensorFlow.js that is given; nothing else of it is loaded. */
export function tensorCollectives<T extends TensorLike>(c: Collectives, tf: TensorMaker<T>): TensorCollectives<T> {
  const make = (values: Values, shape: number[], { dtype }: T) => tf.tensor(values as never, shape, dtype as never)
  const joined = ({ shape: [rows = 1, ...rest] }: T) => [rows * c.size, ...rest]
  return {
    allReduce: async (tensor, options) =>
      make(await c.allReduce(own(await tensor.data(), tensor) as Numbers, options), tensor.shape, tensor),
    allReduceSync: (tensor, options) =>
      make(c.allReduceSync(own(tensor.dataSync(), tensor) as Numbers, options), tensor.shape, tensor),
    allGather: async (tensor, options) =>
      make(await c.allGather(own(await tensor.data(), tensor), options), joined(tensor), tensor),
    allGatherSync: (tensor, options) =>
      make(c.allGatherSync(own(tensor.dataSync(), tensor), options), joined(tensor), tensor),
    broadcast: async (tensor, options) =>
      make(await c.broadcast(own(await tensor.data(), tensor), options), tensor.shape, tensor),
    broadcastSync: (tensor, options) =>
      make(c.broadcastSync(own(tensor.dataSync(), tensor), options), tensor.shape, tensor),
  }
}

/** A copy of a tensor's values: what a backend gives may be its own memory. */
function own(values: unknown, { dtype }: TensorLike): Values {
  if (dtype === 'float32' || dtype === 'int32' || dtype === 'bool') {
    kindOf(values, 'a tensor')
    return (values as Values).slice()
  }
  throw new GangflowError({
    code: 'E_TF_VALUES',
    what: `a collective was given a tensor of ${dtype}`,
    fix: 'give float32 or int32, or bool to gather or broadcast',
  })
}
