import { GangflowError } from '@gangflow/core'
import type { Tensor } from '@tensorflow/tfjs'
import type { Tf } from '../backends/tf.js'
import type { Collectives } from '../collectives/contract.js'

const own = new WeakSet<object>()

/** Rows that count, of batches that stand in for none. */
const counted = new WeakMap<Tensor, number>()

/** Marks a dataset whose batches are this member's alone. */
export function markOwn<T extends object>(dataset: T): T {
  own.add(dataset)
  return dataset
}

export const isOwn = (dataset: object): boolean => own.has(dataset)

interface Batches {
  iterator(): Promise<{ next(): Promise<{ value: Batch | null; done: boolean }> }>
  readonly size?: number
}
type Batch = { xs: unknown; ys: unknown }

/**
 * Members' own datasets end together: who has no more batches goes on with the last one, which then counts for nothing,
 * until the longest has ended.
 */
export function together<T>(tf: Tf, collectives: Collectives, dataset: T): T {
  const iterator = async () => {
    const batches = await (dataset as Batches).iterator()
    let last: Batch | undefined
    let isOver = false
    const next = async (): Promise<{ value: Batch | null; done: boolean }> => {
      let given: { value: Batch | null; done: boolean } = { value: null, done: true }
      // An iterator may give its end beside a last value.
      while (!isOver && given.value === null) {
        given = await batches.next()
        if (given.done) isOver = true
        if (given.done && given.value === null) break
      }
      const [others] = await collectives.allReduce(Int32Array.of(given.value ? 1 : 0), { reduction: 'max' })
      if (!others) {
        tf.dispose(last as never)
        return { value: null, done: true }
      }
      if (given.value) {
        tf.dispose(last as never)
        last = copy(tf, given.value)
        return { value: given.value, done: false }
      }
      if (last === undefined)
        throw new GangflowError({
          code: 'E_TF_FIT',
          what: `the own dataset of rank ${collectives.rank} has no batch`,
          fix: 'give every member at least one batch of its own',
          rank: collectives.rank,
        })
      const idle = copy(tf, last)
      for (const tensor of tensorsOf(idle.xs)) counted.set(tensor, 0)
      return { value: idle, done: false }
    }
    return { next }
  }
  return { iterator, ...((dataset as Batches).size === undefined ? {} : { size: (dataset as Batches).size }) } as T
}

/** Rows that count where they are not all. */
together.rowsOf = (tensor: Tensor): number | undefined => counted.get(tensor)

function copy(tf: Tf, batch: Batch): Batch {
  const one = (value: unknown): unknown => {
    if (value instanceof tf.Tensor) return firstRow(tf, value)
    if (Array.isArray(value)) return value.map(one)
    return Object.fromEntries(Object.entries(value as object).map(([name, inner]) => [name, one(inner)]))
  }
  return { xs: one(batch.xs), ys: one(batch.ys) }
}

const firstRow = (tf: Tf, tensor: Tensor): Tensor => {
  const [, ...rest] = tensor.shape
  return tf.slice(tensor, [0, ...rest.map(() => 0)], [1, ...rest])
}

function tensorsOf(value: unknown): Tensor[] {
  if (typeof value !== 'object' || value === null) return []
  if ('dataSync' in value) return [value as Tensor]
  return Object.values(value).flatMap(tensorsOf)
}
