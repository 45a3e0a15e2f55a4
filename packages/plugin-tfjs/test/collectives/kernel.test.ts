import { describe, expect, it } from 'vitest'
import { makeKernel } from '../../src/collectives/kernel.js'
import type { ReductionName } from '../../src/collectives/shape.js'
import { wasm } from '../../src/collectives/wasm.js'

const memory = new wasm.Memory({ initial: 4, maximum: 4, shared: true })
const kernel = makeKernel(memory)
const bytes = new Uint8Array(memory.buffer)
const arrays = { float32: Float32Array, float64: Float64Array, int32: Int32Array } as const
type Kind = keyof typeof arrays

const joined: Record<ReductionName, (a: number, b: number) => number> = {
  sum: (a, b) => a + b,
  mean: (a, b) => a + b,
  max: Math.max,
  min: Math.min,
}
/** Awkward values first, then any. */
function values(kind: Kind, length: number, seed: number): InstanceType<(typeof arrays)[Kind]> {
  const odd =
    kind === 'int32' ? [2 ** 31 - 1, -(2 ** 31), -1, 0] : [Number.NaN, -0, 0, Infinity, -Infinity, 1e-40, 3e38]
  const all = Array.from({ length }, (_, i) => odd[(i + seed) % (odd.length + 9)] ?? Math.sin(i * 7.3 + seed) * 1000)
  return new arrays[kind](all)
}
const put = (array: ArrayBufferView, at: number) =>
  bytes.set(new Uint8Array(array.buffer, array.byteOffset, array.byteLength), at)
const take = (kind: Kind, at: number, length: number) => {
  const copy = bytes.slice(at, at + length * arrays[kind].BYTES_PER_ELEMENT)
  return new arrays[kind](copy.buffer)
}

describe.each(Object.keys(arrays) as Kind[])('the kernel, %s', (kind) => {
  const lengths = [0, 1, 2, 3, 4, 5, 15, 16, 17, 31, 33, 64, 65, 1000]

  it.each(['sum', 'mean', 'max', 'min'] as const)('%s: as in JavaScript, at any place and length', (reduction) => {
    for (const length of lengths) {
      for (const shift of [0, 1, 7]) {
        const [mine, theirs] = [values(kind, length, 0), values(kind, length, 3)]
        put(mine, 64)
        put(theirs, 100_000 + shift)
        const after = 64 + mine.byteLength
        bytes[after] = 77
        kernel.join(reduction, kind, 64, 100_000 + shift, mine.byteLength)
        const expected = new arrays[kind](length).map((_, i) => joined[reduction](mine[i]!, theirs[i]!))
        expect(take(kind, 64, length)).toEqual(expected)
        expect(bytes[after]).toBe(77)
      }
    }
  })

  it('divides', () => {
    for (const length of lengths) {
      const mine = values(kind, length, 0)
      put(mine, 192)
      kernel.divide(kind, 192, mine.byteLength, 3)
      const expected = new arrays[kind](length).map((_, i) =>
        kind === 'int32' ? Math.trunc(mine[i]! / 3) : mine[i]! / 3,
      )
      expect(take(kind, 192, length)).toEqual(expected)
    }
  })
})
