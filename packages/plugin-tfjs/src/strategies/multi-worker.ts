import type { Optimizer, Tensor } from '@tensorflow/tfjs'
import type { Tf } from '../backends/tf.js'
import type { Collectives, Reduction } from '../collectives/contract.js'
import { partOf } from '../collectives/split.js'
import { agreeOn } from './agree.js'
import { distribute, type Trainer, type TrainingHooks } from './fit.js'
import { Exchange, type Share } from './gradients.js'
import type { Model } from './model.js'
import type { StrategyOptions } from './options.js'
import { markOwn } from './own-dataset.js'
import { ownRows, sliceRows } from './rows.js'
import { broadcastWeights } from './same-model.js'
import { within } from './scope.js'

/** A batch: rows in a tensor, or in several by name or number. */
export type Batch = Tensor | readonly Batch[] | { readonly [name: string]: Batch }

/**
 * Synchronous data-parallel training over all members: each computes the gradients of its rows of every batch, the
 * optimizers apply the mean over all rows, and the weights stay the same bits everywhere. Every member runs the same
 * program with the same data.
 */
export class MultiWorkerMirroredStrategy {
  private readonly exchange: Exchange
  private readonly trainer: Trainer
  private readonly models = new WeakSet<Model>()
  private lastRun: Share | undefined

  /** A step's `current.tf.strategy` is one; over other processes, give it the collectives of `connect`. */
  constructor(
    private readonly tf: Tf,
    readonly collectives: Collectives,
    { batchSize = 'global', nan = 'error' }: StrategyOptions = {},
    hooks: TrainingHooks = {},
  ) {
    this.exchange = new Exchange(tf, collectives, nan)
    const exchange = this.exchange
    const { trainings = { begun: 0 } } = hooks
    this.trainer = { tf, collectives, exchange, batchSize, open: 0, trainings, hooks }
  }

  get numReplicasInSync(): number {
    return this.collectives.size
  }
  /** This member's number. */
  get replica(): number {
    return this.collectives.rank
  }
  /** Trainings that have not settled. */
  get open(): number {
    return this.trainer.open
  }

  /**
   * Runs a function, which may be asynchronous and may train: models that are compiled in it, or that it gives back,
   * train over the gang by their own `fit`, `fitDataset` and `trainOnBatch`. The first weights are those of rank 0.
   * Errors of these: `E_TF_MODEL`, `E_TF_FIT`, `E_TF_NAN`, and those of the collectives.
   */
  scope<T>(build: () => T): T {
    return within(this.tf, { adopt: (model) => this.adopt(model) }, build)
  }

  /** For loops of your own: its gradients become means over the gang. Gives the same optimizer back. */
  optimizer<T extends Optimizer>(optimizer: T): T {
    return this.exchange.attach(optimizer)
  }

  /** For loops of your own: gives these variables rank 0's values on every member. Blocks. */
  broadcast(variables: readonly { readonly name: string; readonly val?: unknown; assign?: unknown }[]): void {
    const weights = variables.map((one) => ('val' in one ? one : { ...one, val: one }))
    agreeOn(this.collectives, 'broadcast', {
      shapes: weights.map(({ val }) => (val as Tensor).shape),
    })
    broadcastWeights(this.tf, this.collectives, weights as never)
  }

  /**
   * One step of a loop of your own: runs it on this member's rows of a batch that every member has. Optimizers of
   * `optimizer()` weigh by these rows. One step at a time: await one that is asynchronous. Of a batch with fewer rows than members, some get a row that does not count.
   */
  run<B extends Batch, R>(step: (own: B) => R, batch: B): R {
    const { size, rank } = this.collectives
    const rows = firstRows(batch)
    const { begin, end, counted } = ownRows(rows, size, rank)
    const share: Share = { rows: counted, total: rows }
    const own = this.part(batch, begin, end) as B
    this.exchange.share = share
    this.lastRun = share
    const over = () => {
      this.exchange.share = undefined
      this.tf.dispose(own as never)
    }
    let result: R | undefined
    try {
      result = step(own)
      return result instanceof Promise ? (result.finally(over) as R) : result
    } finally {
      if (!(result instanceof Promise)) over()
    }
  }

  /** One value of all members'. `'mean'` after `run` weighs by the rows that each computed on. */
  async reduce(reduction: Reduction, value: number): Promise<number>
  async reduce<T extends Tensor>(reduction: Reduction, value: T): Promise<T>
  async reduce(reduction: Reduction, value: number | Tensor): Promise<number | Tensor> {
    const { tf, collectives } = this
    const isNumber = typeof value === 'number'
    const all = Float64Array.from(isNumber ? [value] : await value.data())
    const share = reduction === 'mean' ? this.lastRun : undefined
    if (share?.total) {
      const { rows, total } = share
      all.forEach((one, at) => {
        all[at] = rows === 0 ? 0 : (one * rows) / total
      })
    }
    await collectives.allReduce(all, { reduction: share?.total ? 'sum' : reduction })
    return isNumber ? (all[0] as number) : tf.tensor(Float32Array.from(all), value.shape, value.dtype)
  }

  /** This member's rows of a tensor that every member has: `partOf` the rows. */
  shard<T extends Tensor>(tensor: T): T {
    const { begin, end } = partOf(tensor.shape[0] as number, this.collectives.size, this.collectives.rank)
    return sliceRows(this.tf, tensor, begin, end)
  }

  /**
   * Says that a dataset's batches are this member's own, not the gang's: `fitDataset` trains on them whole. Members
   * may have different numbers of batches; an epoch ends with the longest.
   */
  own<T extends object>(dataset: T): T {
    return markOwn(dataset)
  }

  private adopt(model: Model): void {
    if (!this.models.has(model)) {
      this.models.add(model)
      distribute(this.trainer, model)
      this.trainer.hooks.adopted?.(model)
    }
    this.exchange.attach(model.optimizer)
  }

  private part(batch: Batch, begin: number, end: number): Batch {
    if (isTensor(batch)) return sliceRows(this.tf, batch, begin, end)
    if (Array.isArray(batch)) return batch.map((one: Batch) => this.part(one, begin, end))
    return Object.fromEntries(Object.entries(batch).map(([name, one]) => [name, this.part(one, begin, end)]))
  }
}

const isTensor = (value: Batch): value is Tensor => 'dataSync' in value

function firstRows(batch: Batch): number {
  if (isTensor(batch)) return batch.shape[0] as number
  const [first] = Object.values(batch) as Batch[]
  return first === undefined ? 0 : firstRows(first)
}
