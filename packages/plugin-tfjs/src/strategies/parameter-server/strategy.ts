import { GangflowError } from '@gangflow/core'
import type { History } from '@tensorflow/tfjs'
import type { Tf } from '../../backends/tf.js'
import { begin, distribute, type Trainer, type TrainingHooks } from '../fit.js'
import type { Model } from '../model.js'
import type { StrategyOptions } from '../options.js'
import { markOwn } from '../own-dataset.js'
import { startAlike } from '../same-model.js'
import { within } from '../scope.js'
import type { Links } from './links.js'
import { serve } from './server.js'
import { WorkerExchange } from './worker.js'

export interface ParameterServerOptions extends StrategyOptions {
  /** Members that hold the variables; the last ones of the gang. Default 1. */
  readonly servers?: number
  /**
   * How many steps a worker may be ahead of the slowest; then it waits. Default: any number. 0: all workers compute on
   * the same weights, and one step is made of all their gradients, as by MultiWorkerMirroredStrategy.
   */
  readonly staleness?: number
}

/** Optimizers that move each number by itself, so that servers can hold any part of the variables. */
const byElement = ['SGD', 'Momentum', 'Adagrad', 'Adadelta', 'Adam', 'RMSProp']

/**
 * Asynchronous training: servers hold the variables and the optimizer's state, each an equal part; a worker sends them the
 * gradients of its rows of a batch, goes on with the variables that they then have, and does not wait for other workers
 * within an epoch. Every member runs the same program; on a server, `fit` serves until the workers have trained.
 */
export class ParameterServerStrategy {
  private readonly trainer: Trainer
  private readonly exchange: WorkerExchange
  private readonly models = new WeakSet<Model>()

  /** `current.tf.parameterServer()` gives one. */
  constructor(
    private readonly tf: Tf,
    private readonly links: Links,
    { staleness = Number.POSITIVE_INFINITY, batchSize = 'global', nan = 'error' }: ParameterServerOptions = {},
    hooks: TrainingHooks = {},
  ) {
    this.staleness = staleness
    const { all: everyone, among: collectives = everyone } = links
    const exchange = new WorkerExchange(tf, links, nan)
    this.exchange = exchange
    const { trainings = { begun: 0 } } = hooks
    this.trainer = { tf, collectives, everyone, exchange, batchSize, open: 0, trainings, hooks }
  }

  readonly staleness: number
  get role(): 'worker' | 'server' {
    return this.links.among ? 'worker' : 'server'
  }
  /** This member's number among those of its role. */
  get index(): number {
    const { all, workers } = this.links
    return this.links.among ? all.rank : all.rank - workers
  }
  get workers(): number {
    return this.links.workers
  }
  get servers(): number {
    return this.links.servers
  }
  /** Trainings that have not settled. */
  get open(): number {
    return this.trainer.open
  }

  /**
   * Runs a function, which may be asynchronous and may train: models that are compiled in it, or that it gives back,
   * train by their own `fit` and `fitDataset`, which end with the same weights, optimizer and history on every member.
   */
  scope<T>(build: () => T): T {
    return within(this.tf, { adopt: (model) => this.adopt(model) }, build)
  }

  /** Says that a dataset's batches are this worker's own, not the gang's: `fitDataset` trains on them whole. */
  own<T extends object>(dataset: T): T {
    return markOwn(dataset)
  }

  private adopt(model: Model): void {
    const name = model.optimizer.getClassName()
    if (!byElement.includes(name))
      throw new GangflowError({
        code: 'E_TF_OPTIMIZER',
        what: `parameter servers cannot share an optimizer of class ${name} among them`,
        fix: `take one of ${byElement.join(', ')}, or MultiWorkerMirroredStrategy`,
      })
    if (!this.models.has(model)) {
      this.models.add(model)
      if (this.links.among) distribute(this.trainer, model)
      else this.serve(model)
      model.trainOnBatch = refuse
    }
    if (this.links.among) this.exchange.attach(model.optimizer)
  }

  private serve(model: Model): void {
    const fit = async (): Promise<History> => {
      const { tf, links, trainer, staleness } = this
      trainer.open += 1
      try {
        trainer.trainings.begun += 1
        startAlike(tf, links.all, model)
        await begin(trainer, model)
        const told = await serve<Pick<History, 'epoch' | 'history'>>(tf, links, model, staleness)
        return Object.assign(new tf.History(), told)
      } finally {
        trainer.open -= 1
      }
    }
    model.fit = fit
    model.fitDataset = fit as unknown as Model['fitDataset']
  }
}

async function refuse(): Promise<never> {
  throw new GangflowError({
    code: 'E_TF_FIT',
    what: 'trainOnBatch cannot be called on a model of ParameterServerStrategy',
    fix: 'train by fit or fitDataset: within these the servers serve',
  })
}
