import type { Scalar, Tensor } from '@tensorflow/tfjs'
import type { Tf } from '../backends/tf.js'
import type { Collectives } from '../collectives/contract.js'
import { partOf } from '../collectives/split.js'
import type { Columns, Model, TestLoop, Train } from './model.js'
import { isOwn } from './own-dataset.js'
import { rowsOf, sliced } from './rows.js'

/** What validates a model together on all ranks: each on its part, for the means over all rows. */
export interface Validation {
  readonly tf: Tf
  readonly collectives: Collectives
  /** Numbers that a validation gives: loss and metrics. */
  readonly count: number
}

/** Validation of `fit`: on this rank's part of the rows. Blocks. */
export function testTogether(
  { tf, collectives, count }: Validation,
  testLoop: TestLoop,
  [test, columns, batchSize, ...rest]: [Train, Columns, number, ...unknown[]],
): Tensor[] {
  const rows = rowsOf(columns)
  const { begin, end } = partOf(rows, collectives.size, collectives.rank)
  const sums = new Float64Array(count)
  if (end > begin)
    tf.tidy(() => {
      const values = testLoop(test, sliced(tf, columns, begin, end), batchSize, ...rest)
      for (let at = 0; at < count; at++) sums[at] = ((values[at] as Tensor).dataSync()[0] as number) * (end - begin)
    })
  collectives.allReduceSync(sums)
  return [...sums].map((sum) => tf.scalar(sum / rows))
}

interface Batches {
  iterator(): Promise<{ next(): Promise<{ value?: { xs: unknown } | null; done: boolean }> }>
}
type EvaluateDataset = (dataset: object, args: { batches?: number }) => Promise<Scalar | Scalar[]>

/**
 * Validation of `fitDataset` by a dataset: every rank reads all of its batches and computes on each of its turn, or, of
 * members' own datasets, on all.
 */
export async function evaluateTogether(
  { tf, collectives, count }: Validation,
  evaluate: EvaluateDataset,
  dataset: object,
  { batches: most = Number.POSITIVE_INFINITY }: { batches?: number } = {},
): Promise<Scalar[]> {
  const { size, rank } = collectives
  const all = isOwn(dataset)
  let rows = 0
  const iterator = async () => {
    const batches = await (dataset as Batches).iterator()
    let read = 0
    const next = async () => {
      for (;;) {
        const given = read < most ? await batches.next() : { value: null, done: true }
        if (!given.value) return given
        const isMine = all || read % size === rank
        read += 1
        if (isMine) {
          rows += firstTensor(given.value.xs).shape[0] as number
          return given
        }
        tf.dispose(given.value as never)
        if (given.done) return { value: null, done: true }
      }
    }
    return { next }
  }
  const values = [await evaluate({ iterator }, {})].flat()
  const sums = Float64Array.from({ length: count + 1 }, (_, at) =>
    at === count ? rows : rows === 0 ? 0 : (values[at]?.dataSync()[0] as number) * rows,
  )
  tf.dispose(values)
  await collectives.allReduce(sums)
  return [...sums.subarray(0, count)].map((sum) => tf.scalar(sum / (sums[count] as number)))
}

function firstTensor(value: unknown): Tensor {
  return typeof value === 'object' && value !== null && 'dataSync' in value
    ? (value as Tensor)
    : firstTensor(Object.values(value as object)[0])
}

/** While a `fitDataset` runs, its validation is done together; any other evaluation stays this rank's own. */
export function validateTogether(
  how: Validation,
  model: Model,
  data: unknown,
  testLoop: TestLoop,
  before: () => void,
): () => void {
  const original = { evaluate: model.evaluate, evaluateDataset: model.evaluateDataset, testLoop: model.testLoop }
  if (Array.isArray(data))
    model.evaluate = (x, y, args) => {
      if (x !== data[0] || y !== data[1]) return original.evaluate.call(model, x, y, args)
      before()
      model.testLoop = (...call) => testTogether(how, testLoop, call as [Train, Columns, number, ...unknown[]])
      try {
        return original.evaluate.call(model, x, y, args)
      } finally {
        model.testLoop = original.testLoop
      }
    }
  else
    model.evaluateDataset = ((asked: object, args: { batches?: number }) => {
      const evaluate = original.evaluateDataset.bind(model) as unknown as EvaluateDataset
      if (asked !== data) return evaluate(asked, args)
      before()
      return evaluateTogether(how, evaluate, asked, args)
    }) as typeof model.evaluateDataset
  return () => Object.assign(model, original)
}
