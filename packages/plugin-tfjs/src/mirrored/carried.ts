import { GangflowError } from '@gangflow/core'
import type { Tensor } from '@tensorflow/tfjs'
import type { Tf } from '../backends/tf.js'

/** A value as a message carries it: each tensor by memory that the threads share. */
export type Carried = unknown

/** Stands where a tensor was. */
class Shared {
  constructor(
    readonly $tensor: { readonly memory: SharedArrayBuffer; readonly shape: readonly number[]; readonly dtype: string },
  ) {}
}

const arrays = { float32: Float32Array, int32: Int32Array, bool: Uint8Array } as const

/** Of tensors that are alive: given again, nothing is copied. */
const known = new WeakMap<object, SharedArrayBuffer>()

/** Puts the tensors of a value into shared memory, once each. Error: `E_TF_MIRRORED` for what no replica could have. */
export function carry(tf: Tf, value: unknown, path: string): Carried {
  if (value instanceof tf.Tensor)
    return new Shared({ memory: memoryOf(value, path), shape: value.shape, dtype: value.dtype })
  if (typeof value === 'function' || typeof value === 'symbol')
    throw new GangflowError({
      code: 'E_TF_MIRRORED',
      what: `${path} is a ${typeof value}, which the other replicas cannot be given`,
      fix: 'give tensors, numbers, texts, and arrays and objects of these; callbacks run on replica 0',
    })
  if (Array.isArray(value)) return value.map((one, index) => carry(tf, one, `${path}[${index}]`))
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, carry(tf, one, `${path}.${name}`)]))
}

/** The value with tensors of this thread, which are added to `made`. */
export function land(tf: Tf, value: Carried, made: Tensor[]): unknown {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value
  if (Array.isArray(value)) return value.map((one) => land(tf, one, made))
  const { $tensor } = value as Partial<Shared>
  if ($tensor === undefined)
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, land(tf, one, made)]))
  const { memory, shape, dtype } = $tensor
  const tensor = tf.tensor(new arrays[dtype as 'float32'](memory as never), [...shape], dtype as 'float32')
  made.push(tensor)
  return tensor
}

function memoryOf(tensor: Tensor, path: string): SharedArrayBuffer {
  const { dtype, dataId, size } = tensor
  const before = known.get(dataId)
  if (before) return before
  if (!(dtype in arrays))
    throw new GangflowError({
      code: 'E_TF_MIRRORED',
      what: `${path} is a tensor of ${dtype}, which the other replicas cannot be given`,
      fix: 'give float32, int32 or bool',
    })
  const Typed = arrays[dtype as 'float32']
  const memory = new SharedArrayBuffer(size * Typed.BYTES_PER_ELEMENT)
  new Typed(memory as never).set(tensor.dataSync())
  known.set(dataId, memory)
  return memory
}
