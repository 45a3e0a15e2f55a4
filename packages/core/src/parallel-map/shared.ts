import { GangflowError } from '../errors/base.js'

type Maker<T> = (length: number) => T

/** A maker of arrays in shared memory. */
function maker<T>(bytes: number, type: new (buffer: SharedArrayBuffer) => T): Maker<T> {
  return (length) => {
    if (!Number.isSafeInteger(length) || length < 0) {
      throw new GangflowError({
        code: 'E_MAP_OPTION',
        what: `${String(length)} is no length of a shared array`,
        fix: 'give a number of elements, 0 or more',
      })
    }
    return new type(allocate(length * bytes))
  }
}

function allocate(bytes: number): SharedArrayBuffer {
  try {
    return new SharedArrayBuffer(bytes)
  } catch (cause) {
    throw new GangflowError(
      {
        code: 'E_MAP_OPTION',
        what: `${bytes} bytes are more than a shared array can have here`,
        fix: 'make it smaller, or run where there is more memory',
      },
      { cause },
    )
  }
}

/**
 * Typed arrays in memory that all worker threads share: captured by a function or given as items they are never
 * copied, and what a worker writes into them is seen by all. New ones hold zeros. Lengths count elements; whatever the
 * machine's memory holds is fine, also above 4 GiB. Processes (`isolation: 'process'`) share no memory.
 */
export const shared = {
  float64: maker(8, Float64Array),
  float32: maker(4, Float32Array),
  int32: maker(4, Int32Array),
  uint32: maker(4, Uint32Array),
  int16: maker(2, Int16Array),
  uint16: maker(2, Uint16Array),
  int8: maker(1, Int8Array),
  uint8: maker(1, Uint8Array),
  bigInt64: maker(8, BigInt64Array),
  bigUint64: maker(8, BigUint64Array),
  /** A copy of a typed array in shared memory. */
  from<
    T extends
      | Uint8Array
      | Int8Array
      | Uint16Array
      | Int16Array
      | Uint32Array
      | Int32Array
      | Float32Array
      | Float64Array
      | BigInt64Array
      | BigUint64Array
      | Uint8ClampedArray,
  >(array: T): T {
    if (!ArrayBuffer.isView(array) || (array as unknown) instanceof DataView) {
      throw new GangflowError({
        code: 'E_MAP_OPTION',
        what: 'shared.from was given something that is no typed array',
        fix: 'of numbers: shared.from(Float64Array.from(numbers))',
      })
    }
    const type = (Buffer.isBuffer(array) ? Uint8Array : array.constructor) as new (buffer: SharedArrayBuffer) => T
    const copy = new type(allocate(array.byteLength))
    copy.set(array as never)
    return copy
  },
} as const
