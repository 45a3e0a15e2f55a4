import type { Scalar, Tensor } from '@tensorflow/tfjs'
import type { Tf } from '../backends/tf.js'
import type { Collectives, Values } from '../collectives/contract.js'
import { partOf } from '../collectives/split.js'
import type { Model, TestLoop } from '../strategies/model.js'
import { sliceRows } from '../strategies/rows.js'
import { testTogether } from '../strategies/validation.js'

type Named = Tensor | Tensor[] | Readonly<Record<string, Tensor>>
type Evaluate = (x: unknown, y: unknown, args?: object) => Scalar | Scalar[]
type Predict = (x: Named, args?: { batchSize?: number }) => Tensor | Tensor[]

/** The batch size where none is given: tfjs-layers' own. */
const BATCH = 32

/** Rows of what a model is given. */
export function rowsIn(x: unknown): number {
  const [first] = 'shape' in (x as Tensor) ? [x as Tensor] : (Object.values(x as object) as Tensor[])
  return first?.shape?.[0] ?? 0
}

/** Few rows are sooner done by one. */
export const isWorthSharing = (x: unknown, size: number, args?: { batchSize?: number }): boolean =>
  rowsIn(x) > Math.max(args?.batchSize ?? BATCH, size)

/** `evaluate` of which each replica does its part of the rows; all get the same. */
export function evaluateTogether(tf: Tf, collectives: Collectives, model: Model, evaluate: Evaluate): Evaluate {
  return (x, y, args) => {
    const { testLoop } = model
    const { length: count } = (model as unknown as { getDedupedMetricsNames(): string[] }).getDedupedMetricsNames()
    const shared: TestLoop = (...asked) => testTogether({ tf, collectives, count }, testLoop.bind(model), asked)
    model.testLoop = shared
    try {
      return evaluate(x, y, { ...args, ...(collectives.rank === 0 ? {} : { verbose: 0 }) })
    } finally {
      model.testLoop = testLoop
    }
  }
}

/** `predict` of which each replica does its part of the rows; all get the same. */
export function predictTogether(tf: Tf, collectives: Collectives, predict: Predict): Predict {
  const { rank, size } = collectives
  return (x, args) => {
    const rows = rowsIn(x)
    const { begin, end } = partOf(rows, size, rank)
    const own = (tensor: Tensor) => sliceRows(tf, tensor, begin, end)
    const made = tf.tidy(() => {
      const part = 'shape' in x ? own(x as Tensor) : Array.isArray(x) ? x.map(own) : mapped(x, own)
      const given = predict(part, args)
      const outputs = [given].flat().map((output) => gathered(tf, collectives, output, rows))
      return Array.isArray(given) ? outputs : (outputs[0] as Tensor)
    })
    return made
  }
}

const mapped = (x: Readonly<Record<string, Tensor>>, own: (tensor: Tensor) => Tensor) =>
  Object.fromEntries(Object.entries(x).map(([name, tensor]) => [name, own(tensor)]))

/** All parts of the rows, one after the other; the smaller parts are padded on their way. */
function gathered(tf: Tf, collectives: Collectives, part: Tensor, rows: number): Tensor {
  const { size } = collectives
  const values = part.dataSync() as Float32Array
  const width = values.length / (part.shape[0] as number)
  const longest = Math.ceil(rows / size) * width
  const padded = new (values.constructor as Float32ArrayConstructor)(longest)
  padded.set(values)
  const all = collectives.allGatherSync(padded as Values) as Float32Array
  const whole = new (values.constructor as Float32ArrayConstructor)(rows * width)
  for (let rank = 0; rank < size; rank++) {
    const { begin, end } = partOf(rows, size, rank)
    whole.set(all.subarray(rank * longest, rank * longest + (end - begin) * width), begin * width)
  }
  return tf.tensor(whole, [rows, ...part.shape.slice(1)], part.dtype)
}
