import tf from '@tensorflow/tfjs'
import '@tensorflow/tfjs-backend-wasm'
import { expect } from 'vitest'
import { registerKernels } from '../../src/kernels.js'
import type { seeded } from '../random.js'

registerKernels(tf)

export type Random = ReturnType<typeof seeded>

/** Values of a shape: those of a gradient, which has zeros, or any. */
export const values = (random: Random, shape: number[]): tf.Tensor =>
  tf.tensor(
    Float32Array.from({ length: shape.reduce((size, dim) => size * dim, 1) }, () => random.float()),
    shape,
    'float32',
  )

/** What a kernel gives on one backend, as data; the inputs are moved there. */
export async function on(
  backend: 'cpu' | 'wasm',
  kernel: string,
  inputs: Record<string, tf.Tensor>,
  attrs: Record<string, unknown>,
): Promise<{ shape: number[]; dtype: string; data: number[] }> {
  await tf.setBackend(backend)
  const made = tf.engine().runKernel(kernel, inputs, attrs as never) as tf.Tensor
  const given = { shape: made.shape, dtype: made.dtype, data: [...made.dataSync()] }
  made.dispose()
  return given
}

/** The largest difference, relative to the largest value. */
export function difference(one: ArrayLike<number>, other: ArrayLike<number>): number {
  let [apart, size] = [0, 1e-30]
  for (let i = 0; i < Math.max(one.length, other.length); i++) {
    apart = Math.max(apart, Math.abs((one[i] ?? Number.NaN) - (other[i] ?? Number.NaN)))
    if (!(apart >= 0)) return Number.NaN
    size = Math.max(size, Math.abs(other[i] as number))
  }
  return apart / size
}

/** Runs the kernel on both backends and expects the same of them, to 1e-5 of the largest value. */
export async function alike(
  about: string,
  kernel: string,
  inputs: Record<string, tf.Tensor>,
  attrs: Record<string, unknown>,
): Promise<void> {
  const expected = await on('cpu', kernel, inputs, attrs)
  const given = await on('wasm', kernel, inputs, attrs)
  expect(given.shape, about).toEqual(expected.shape)
  expect(given.dtype, about).toBe(expected.dtype)
  expect(difference(given.data, expected.data), about).toBeLessThanOrEqual(1e-5)
}
