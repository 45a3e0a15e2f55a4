import type { Tensor } from '@tensorflow/tfjs'
import type { Tf } from '../backends/tf.js'
import { partOf } from '../collectives/split.js'
import type { Columns } from './model.js'

/** Rows of a batch. */
export const rowsOf = (columns: Columns): number => (columns[0] as Tensor).shape[0] as number

/**
 * The part of a batch's rows that is a rank's: where a batch has fewer rows than there are ranks, one that counts for
 * nothing, since a step of no rows is not computed alike by all backends.
 */
export function ownRows(rows: number, size: number, rank: number): { begin: number; end: number; counted: number } {
  const { begin, end } = partOf(rows, size, rank)
  return begin < end ? { begin, end, counted: end - begin } : { begin: 0, end: 1, counted: 0 }
}

export function sliced(tf: Tf, columns: Columns, begin: number, end: number): (Tensor | null)[] {
  return columns.map((column) => column && sliceRows(tf, column, begin, end))
}

export function sliceRows<T extends Tensor>(tf: Tf, tensor: T, begin: number, end: number): T {
  const [, ...rest] = tensor.shape
  return tf.slice(tensor, [begin, ...rest.map(() => 0)], [end - begin, ...rest]) as T
}

/** The order of the rows in each epoch: the same on all ranks, and again the same when training goes on later. */
export class Order {
  private readonly order: Int32Array

  constructor(
    rows: number,
    private readonly seed: number | undefined,
  ) {
    this.order = Int32Array.from({ length: rows }, (_, index) => index)
  }

  /** Without a seed the rows stay as they are. */
  shuffle(epoch: number): void {
    if (this.seed === undefined) return
    const random = seeded(this.seed + epoch)
    const { order } = this
    order.forEach((_, index) => {
      order[index] = index
    })
    for (let last = order.length - 1; last > 0; last--) {
      const other = Math.floor(random() * (last + 1))
      const kept = order[last] as number
      order[last] = order[other] as number
      order[other] = kept
    }
  }

  at(positions: ArrayLike<number>): Int32Array {
    return Int32Array.from(positions, (position) => this.order[position] as number)
  }
}

/** mulberry32. */
function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
