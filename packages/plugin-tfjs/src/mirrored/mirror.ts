import type { Scalar, Tensor } from '@tensorflow/tfjs'
import type { Tf } from '../backends/tf.js'
import type { Collectives } from '../collectives/contract.js'
import type { Model } from '../strategies/model.js'
import type { Method } from './messages.js'
import { evaluateTogether, isWorthSharing, predictTogether } from './together.js'

/** What replica 0 of a model needs of its strategy. */
interface Strategy {
  train<T>(mirror: Mirror, method: Method, given: unknown, own: (call: number) => Promise<T>): Promise<T>
  together<T>(mirror: Mirror, method: Method, given: unknown, all: () => T, alone: () => T): T
  pass(call: number, given: unknown): void
}

type Evaluate = (x: unknown, y: unknown, args?: { batchSize?: number }) => Scalar | Scalar[]
type Predict = (x: Tensor, args?: { batchSize?: number }) => Tensor | Tensor[]
interface Batches {
  readonly size?: number
  iterator(): Promise<{ next(): Promise<{ value: unknown; done: boolean }> }>
}

/** Replica 0 of a model: what is asked of it, all replicas do. */
export class Mirror {
  hasTrained = false
  /** Where its weights were at the end of the last call. */
  private last: readonly object[] = []

  constructor(
    readonly number: number,
    tf: Tf,
    collectives: Collectives,
    readonly model: Model,
    strategy: Strategy,
  ) {
    const own = model as Model & { evaluate: Evaluate; predict: Predict }
    const { fit, fitDataset, trainOnBatch } = own
    const evaluate = own.evaluate.bind(own)
    const predict = own.predict.bind(own)
    const train = <T>(method: Method, given: unknown, perform: (call: number) => Promise<T>) =>
      strategy.train(this, method, given, perform)

    own.fit = (x, y, args = {}) => train('fit', [x, y, forOthers(args)], () => fit(x, y, args))
    own.trainOnBatch = (x, y) => train('trainOnBatch', [x, y], () => trainOnBatch(x, y))
    own.fitDataset = (dataset, args) => {
      const { validationData: validation, ...rest } = forOthers(args) as { validationData?: object }
      const isValidated = validation !== undefined && 'iterator' in validation
      const batches = dataset as unknown as Batches
      const told = {
        size: batches.size,
        isValidated,
        args: isValidated || validation === undefined ? rest : { ...rest, validationData: validation },
      }
      return train('fitDataset', [told], (call) => {
        const passed = (one: Batches) => passing(one, (given) => strategy.pass(call, given)) as never
        return fitDataset(
          passed(batches),
          isValidated ? { ...args, validationData: passed(validation as Batches) } : args,
        )
      })
    }
    own.evaluate = (x, y, args) => {
      const alone = () => evaluate(x, y, args)
      if (!isWorthSharing(x, collectives.size, args)) return alone()
      const all = evaluateTogether(tf, collectives, model, evaluate as never)
      return strategy.together(this, 'evaluate', [x, y, forOthers(args ?? {})], () => all(x, y, args), alone)
    }
    own.predict = (x, args) => {
      const alone = () => predict(x, args)
      if (!isWorthSharing(x, collectives.size, args)) return alone()
      const all = predictTogether(tf, collectives, predict as never)
      return strategy.together(this, 'predict', [x, forOthers(args ?? {})], () => all(x, args), alone)
    }
  }

  /** Whether a model that `scope` gave back is this one: a Sequential has it inside. */
  is(given: Model): boolean {
    return given === this.model || (given as unknown as { model?: unknown }).model === this.model
  }

  /** Remembers where the weights are: the same in all replicas. */
  note(): void {
    this.last = this.places()
  }

  /** Whether someone has set weights since the last call. */
  hasMoved(): boolean {
    const now = this.places()
    return now.length !== this.last.length || now.some((place, at) => place !== this.last[at])
  }

  private places(): object[] {
    return this.model.weights.map(({ val }) => val.dataId)
  }
}

/** Callbacks and what is printed are of replica 0. */
function forOthers(args: object): object {
  const { callbacks, verbose, yieldEvery, ...rest } = args as Record<string, unknown>
  return rest
}

/** A dataset whose batches are told as they are taken. */
function passing(dataset: Batches, tell: (given: unknown) => void): Batches {
  const iterator = async () => {
    const batches = await dataset.iterator()
    const next = async () => {
      const given = await batches.next()
      tell(given)
      return given
    }
    return { next }
  }
  return { iterator, ...(dataset.size === undefined ? {} : { size: dataset.size }) }
}
