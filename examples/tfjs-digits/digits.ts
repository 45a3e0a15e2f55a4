import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import type { Tf } from '@gangflow/plugin-tfjs'
import type * as TF from '@tensorflow/tfjs'

/** Images of 8 by 8 pixels from 0 to 16, one after the other, and the digits that they show. */
export interface Digits {
  readonly pixels: Uint8Array
  readonly labels: Uint8Array
}

/** Every fifth digit is never trained on. */
export function readDigits(part: 'training' | 'held out'): Digits {
  const rows = gunzipSync(readFileSync(new URL('./digits.csv.gz', import.meta.url)))
    .toString()
    .trim()
    .split('\n')
  const wanted = rows
    .filter((_, index) => (index % 5 === 0) === (part === 'held out'))
    .map((row) => row.split(',').map(Number))
  return {
    pixels: Uint8Array.from(wanted.flatMap((row) => row.slice(0, 64))),
    labels: Uint8Array.from(wanted.map((row) => row[64]!)),
  }
}

export function tensorsOf(tf: Tf, { pixels, labels }: Digits): { xs: TF.Tensor4D; ys: TF.Tensor } {
  const xs = tf.tensor4d(
    Float32Array.from(pixels, (pixel) => pixel / 16),
    [labels.length, 8, 8, 1],
  )
  const ys = tf.tidy(() => tf.oneHot(tf.tensor1d(labels, 'int32'), 10))
  return { xs, ys }
}
