import type { CustomCallback, CustomCallbackArgs, History, Tensor } from '@tensorflow/tfjs'
import type { Tf } from '../backends/tf.js'
import type { Collectives } from '../collectives/contract.js'
import { agreeOn } from './agree.js'
import { restoreTraining, saveTraining, type TrainingStore } from './checkpoint.js'
import { around, type EpochEnd, Totals } from './epoch.js'
import type { GradientExchange, Share } from './gradients.js'
import type { Columns, FitLoop, Model, TestLoop, Train } from './model.js'
import { isOwn, together } from './own-dataset.js'
import { Order, ownRows, rowsOf, sliced } from './rows.js'
import { averageUntrained, startAlike } from './same-model.js'
import { testTogether, validateTogether } from './validation.js'

/** What the training of a model over a gang is made of. */
export interface Trainer {
  readonly tf: Tf
  /** Over the ranks that train. */
  readonly collectives: Collectives
  /** Over all that have the model, where these are more. */
  readonly everyone?: Collectives
  readonly exchange: GradientExchange
  readonly batchSize: 'global' | 'member'
  /** Trainings that have not settled. */
  open: number
  readonly trainings: Trainings
  readonly hooks: TrainingHooks
}

/** Counts trainings begun: the same number on every rank, and in every attempt, names the same one. */
export interface Trainings {
  begun: number
}

/** What a gang does beside its trainings. */
export interface TrainingHooks {
  /** Of all strategies together; absent: of this one alone. */
  readonly trainings?: Trainings
  /** Told each epoch's end. */
  readonly endEpoch?: (training: number, end: EpochEnd) => void
  readonly store?: TrainingStore
  /** Told each model that trains from now on, once. */
  readonly adopted?: (model: Model) => void
  /** Who the other ranks are, where others can take their place: these begin as in a first call. */
  readonly others?: () => object | undefined
}

/** Patches this one model: its fit, fitDataset and trainOnBatch train over the gang. */
export function distribute(trainer: Trainer, model: Model): void {
  const { tf, collectives, exchange, trainings } = trainer
  const { rank, size } = collectives
  const totals = new Totals()
  const original = {
    makeTrainFunction: model.makeTrainFunction.bind(model),
    fitLoop: model.fitLoop.bind(model),
    testLoop: model.testLoop.bind(model),
    fit: model.fit.bind(model),
    fitDataset: model.fitDataset.bind(model),
    trainOnBatch: model.trainOnBatch.bind(model),
  }
  const raw = new WeakMap<Train, Train>()
  const quiet = rank === 0 ? {} : { verbose: 0 as const }
  let started: { optimizer: unknown; others: unknown } | undefined
  let isOwnBatch = false
  let last: Share = { rows: 1 }
  let isSettled = false

  /** One step on rows that are this rank's; `counted` of them. */
  const perform = (train: Train, columns: Columns, counted: number): Tensor[] => {
    isSettled = false
    const share: Share = { rows: counted }
    exchange.share = share
    last = share
    try {
      const values = train(columns)
      if (!share.skipped) totals.add(values, counted)
      return values
    } finally {
      exchange.share = undefined
    }
  }
  const start = () => {
    trainings.begun += 1
    startAlike(tf, trainer.everyone ?? collectives, model)
    started = { optimizer: model.optimizer, others: trainer.hooks.others?.() }
  }
  const counting = async <T>(training: () => Promise<T>): Promise<T> => {
    trainer.open += 1
    try {
      return await training()
    } finally {
      trainer.open -= 1
    }
  }

  model.makeTrainFunction = () => {
    const train = original.makeTrainFunction()
    const onOwnRows: Train = (columns) => {
      const rows = rowsOf(columns)
      const { begin, end, counted } = isOwnBatch
        ? { begin: 0, end: Math.max(rows, 1), counted: together.rowsOf(columns[0] as Tensor) ?? rows }
        : ownRows(rows, size, rank)
      if (end - begin === rows) return perform(train, columns, counted)
      return tf.tidy(() => perform(train, sliced(tf, columns, begin, end), counted))
    }
    raw.set(onOwnRows, train)
    return onOwnRows
  }

  /** Gives all ranks the same model: after an epoch's steps, before it is validated or shown. */
  const settle = () => {
    if (isSettled) return
    isSettled = true
    exchange.settle?.()
    averageUntrained(tf, collectives, model)
  }
  /** A training between the words that begin and end it. */
  const training = async <T extends History>(train: () => Promise<T>): Promise<T> => {
    await exchange.open?.(model)
    const history = await train()
    await exchange.close?.({ epoch: history.epoch, history: history.history })
    return history
  }

  const fitLoop: FitLoop = async (...call) => {
    const [made, columns, labels, asked, epochs, verbose, callbacks, test, testColumns, shuffle, names] = call
    const { first, ...ending } = await begin(trainer, model, call[11])
    const train = raw.get(made) ?? made
    const rows = rowsOf(columns)
    const batchSize = (asked ?? 32) * (trainer.batchSize === 'member' ? size : 1)
    const facts = { rows, batchSize, epochs: epochs ?? 1, initialEpoch: first, validation: test !== null }
    agreeOn(collectives, 'fit', { ...facts, shuffle: shuffle ?? true })
    const isShuffled = (shuffle ?? true) === true
    const [seed] = collectives.broadcastSync(Int32Array.of(Math.random() * 2 ** 31))
    const order = new Order(rows, isShuffled ? seed : undefined)
    // The loop counts rows; each rank gathers only those that it computes on.
    const numbers = tf.range(0, rows, 1, 'int32')
    const onNumbers: Train = ([batch]) => {
      const positions = (batch as Tensor).dataSync()
      const { begin, end, counted } = ownRows(positions.length, size, rank)
      const indices = tf.tensor1d(order.at(positions.subarray(begin, end)), 'int32')
      return perform(
        train,
        columns.map((column) => column && tf.gather(column, indices)),
        counted,
      )
    }
    const facets = { settle, labels, epochs: facts.epochs, beginEpoch: (epoch: number) => order.shuffle(epoch) }
    const all = around(tf, collectives, totals, { model, ...facets, ...ending }, callbacks)
    const testLoop: TestLoop = (...asked) => {
      if (asked[1] !== testColumns) return original.testLoop(...asked)
      settle()
      return testTogether({ tf, collectives, count: labels.length }, original.testLoop, asked)
    }
    model.testLoop = testLoop
    try {
      const shuffled = isShuffled ? false : shuffle
      const rest = [test, testColumns, shuffled, names, first, call[12], call[13]] as const
      return await training(() =>
        original.fitLoop(onNumbers, [numbers], labels, batchSize, epochs, verbose, all, ...rest),
      )
    } finally {
      model.testLoop = original.testLoop
      numbers.dispose()
    }
  }
  model.fitLoop = fitLoop

  model.fit = (x, y, args = {}) =>
    counting(() => {
      start()
      const callbacks = args.callbacks ? { callbacks: standard(tf, args) } : {}
      return original.fit(x, y, { ...args, ...callbacks, ...quiet })
    })

  model.fitDataset = (dataset, args) =>
    counting(async () => {
      start()
      const { epochs, batchesPerEpoch } = args
      const own = isOwn(dataset)
      const { first, ...ending } = await begin(trainer, model, args.initialEpoch)
      agreeOn(collectives, 'fitDataset', { epochs, batchesPerEpoch, initialEpoch: first, own })
      const labels = (model as unknown as { getDedupedMetricsNames(): string[] }).getDedupedMetricsNames()
      const callbacks = around(
        tf,
        collectives,
        totals,
        { model, settle, labels, epochs, ...ending },
        standard(tf, args as Parameters<typeof standard>[1]),
      ) as never
      const batches = own && !exchange.settle ? together(tf, collectives, dataset) : dataset
      const how = { tf, collectives, count: labels.length }
      const alone = validateTogether(how, model, args.validationData, original.testLoop, settle)
      isOwnBatch = own
      try {
        return await training(() => original.fitDataset(batches, { ...args, initialEpoch: first, callbacks, ...quiet }))
      } finally {
        isOwnBatch = false
        alone()
      }
    })

  model.trainOnBatch = (x, y) =>
    counting(async () => {
      if (started?.optimizer !== model.optimizer || started.others !== trainer.hooks.others?.()) start()
      const values = await original.trainOnBatch(x, y)
      const { rows } = last
      const sums = Float64Array.from([values].flat() as number[], (value) => (rows === 0 ? 0 : value * rows))
      await collectives.allReduce(sums)
      const means = [...sums].map((sum) => sum / (last.total ?? rows))
      return means.length === 1 ? (means[0] as number) : means
    })
}

/** Where a training begins, after its checkpoint where it has one, and what follows each of its epochs. */
export async function begin({ tf, collectives, exchange, trainings, hooks }: Trainer, model: Model, initialEpoch = 0) {
  const { endEpoch, store } = hooks
  const training = trainings.begun - 1
  const saved = await store?.load(training)
  if (saved && saved.epoch >= initialEpoch) await restoreTraining(tf, model, saved)
  const first = Math.max(initialEpoch, (saved?.epoch ?? -1) + 1)
  return {
    first,
    endEpoch: async (end: EpochEnd) => {
      endEpoch?.(training, end)
      const isDue = store && ((end.epoch + 1) % store.every === 0 || end.epoch + 1 === end.epochs)
      if (isDue) await exchange.gather?.()
      if (isDue && collectives.rank === 0) await store.save(training, await saveTraining(model, end.epoch))
    },
  }
}

/** The user's callbacks as the loops take them: of a list of both kinds, TensorFlow.js has one call itself for ever. */
function standard(tf: Tf, { callbacks, yieldEvery }: { callbacks?: unknown; yieldEvery?: unknown }): CustomCallback[] {
  return ([callbacks ?? []].flat() as object[]).map((one) =>
    'setParams' in one
      ? (one as CustomCallback)
      : new tf.CustomCallback(one as CustomCallbackArgs, (yieldEvery ?? 'auto') as 'auto'),
  )
}
