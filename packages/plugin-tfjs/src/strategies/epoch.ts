import type { CustomCallback, CustomCallbackArgs, Tensor } from '@tensorflow/tfjs'
import type { Tf } from '../backends/tf.js'
import type { Collectives } from '../collectives/contract.js'
import type { Model } from './model.js'

/** An epoch's end, the same on every rank. */
export interface EpochEnd {
  readonly epoch: number
  readonly epochs: number
  readonly logs: Readonly<Record<string, number>>
  readonly seconds: number
}

/** Longest time without a turn for the event loop, unless a batch takes longer. */
const YIELD_MS = 100

type Logs = Record<string, number | Tensor>

/** What a training's callbacks share. */
export interface Training {
  readonly model: Model
  /** Gives all ranks the same model. */
  readonly settle: () => void
  readonly labels: readonly string[]
  readonly epochs: number
  readonly beginEpoch?: (epoch: number) => void
  readonly endEpoch?: (end: EpochEnd) => Promise<void>
}

/** Loss and metrics of an epoch on this rank, weighted by rows. */
export class Totals {
  rows = 0
  private sums: number[] = []

  add(values: readonly Tensor[], rows: number): void {
    this.rows += rows
    values.forEach((value, index) => {
      this.sums[index] = (this.sums[index] ?? 0) + (value.dataSync()[0] as number) * rows
    })
  }

  clear(): void {
    this.rows = 0
    this.sums = []
  }

  /** The means over the rows of all ranks. Blocks. */
  means(collectives: Collectives, count: number): number[] {
    const all = Float64Array.from({ length: count + 1 }, (_, at) => (at === count ? this.rows : (this.sums[at] ?? 0)))
    collectives.allReduceSync(all)
    return [...all.subarray(0, count)].map((sum) => sum / (all[count] as number))
  }
}

/** Stand around the user's callbacks: what these see is the same on all ranks, and so is whether they stop. */
export function around(
  tf: Tf,
  collectives: Collectives,
  totals: Totals,
  training: Training,
  given: readonly CustomCallback[],
): CustomCallback[] {
  const { model, settle, labels, epochs, beginEpoch, endEpoch } = training
  const callback = (args: CustomCallbackArgs) => new tf.CustomCallback(args, 'never')
  let since = 0
  let shown: Record<string, number> = {}
  const head = callback({})
  // Written into the logs as they are: a CustomCallback of its own would first read what is replaced here.
  head.onEpochBegin = async (epoch) => {
    since = performance.now()
    totals.clear()
    beginEpoch?.(epoch)
  }
  head.onEpochEnd = async (_, logs) => {
    settle()
    shown = alike(collectives, totals, labels, logs as Logs)
  }
  const tail = callback({})
  let yielded = performance.now()
  // A loop of exchanges that block would never let timers, signals and sockets have their turn.
  tail.onBatchEnd = async () => {
    if (performance.now() - yielded < YIELD_MS) return
    await new Promise(setImmediate)
    yielded = performance.now()
  }
  tail.onEpochEnd = async (epoch) => {
    const [stops] = collectives.allReduceSync(Int32Array.of(model.stopTraining_ ? 1 : 0), { reduction: 'max' })
    if (stops) model.stopTraining = true
    await endEpoch?.({ epoch, epochs, logs: shown, seconds: (performance.now() - since) / 1000 })
  }
  return [head, ...given, tail]
}

/** Replaces what is of this rank alone: the training's figures by means, all others by those of rank 0. */
function alike(
  collectives: Collectives,
  totals: Totals,
  labels: readonly string[],
  logs: Logs,
): Record<string, number> {
  const means = totals.means(collectives, labels.length)
  const others = Object.keys(logs)
    .filter((key) => !labels.includes(key))
    .sort()
  const values = Float64Array.from(others, (key) => numberOf(logs[key] as number | Tensor))
  if (others.length > 0) collectives.broadcastSync(values)
  const result: Record<string, number> = {}
  const put = (key: string, value: number) => {
    const before = logs[key]
    if (typeof before === 'object') before.dispose()
    logs[key] = value
    result[key] = value
  }
  labels.forEach((label, index) => {
    put(label, means[index] as number)
  })
  others.forEach((key, index) => {
    put(key, values[index] as number)
  })
  return result
}

const numberOf = (value: number | Tensor): number =>
  typeof value === 'number' ? value : (value.dataSync()[0] as number)
