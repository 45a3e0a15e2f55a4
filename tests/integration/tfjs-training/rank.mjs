// One rank: does what it is told, in groups of 1, 2 or 4 ranks, and tells what weights came of it.
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { modelsOf } from './models.mjs'

const packageOf = new URL('../../../packages/plugin-tfjs/dist/', import.meta.url)
const { loadBackend, MultiWorkerMirroredStrategy } = await import(new URL('index.js', packageOf))
const { connect } = await import(new URL('collectives.js', packageOf))
const [number, backend, directory] = process.argv.slice(2)
const me = Number(number)
const tf = await loadBackend(new URL('../../..', import.meta.url).pathname, backend)

const groups = new Map()
function group(size, name = '', timeout = '60s') {
  const key = `${size}${name}`
  const made =
    groups.get(key) ??
    connect({
      rank: me,
      size,
      name: key,
      secret: Buffer.from('the secret of a test'),
      addresses: Array.from({ length: size }, (_, rank) => join(directory, `${key}.${rank}`)),
      timeout,
    })
  groups.set(key, made)
  return made
}

const { data, build, optimizers } = modelsOf(tf)
const weightsOf = (model) => model.getWeights().flatMap((weight) => [...weight.dataSync()])
const hash = (values) => createHash('sha256').update(Float32Array.from(values)).digest('hex')

const jobs = {
  async train({
    size,
    model: kind,
    optimizer = 'sgd',
    rows = 256,
    batchSize = 32,
    epochs = 3,
    by = 'fit',
    fit = {},
    ...rest
  }) {
    const strategy = new MultiWorkerMirroredStrategy(tf, await group(size), rest.strategy)
    const before = tf.memory().numTensors
    const { xs, ys } = data(rows)
    // Every rank starts elsewhere: what counts is where rank 0 starts.
    const model = strategy.scope(() => {
      const made = build(kind, 1 + me)
      made.compile({ optimizer: optimizers[optimizer](), loss: 'categoricalCrossentropy', metrics: ['accuracy'] })
      return made
    })
    const seen = []
    const callbacks = { onEpochEnd: (_, logs) => void seen.push(logs) }
    const batches = function* (mine = () => true) {
      for (let at = 0, count = 0; at < rows; at += batchSize, count++)
        if (mine(count))
          yield {
            xs: tf.slice(xs, [at, 0, 0, 0], [Math.min(batchSize, rows - at), 10, 10, 1]),
            ys: tf.slice(ys, [at, 0], [Math.min(batchSize, rows - at), 4]),
          }
    }
    let history
    if (by === 'fit')
      history = await model.fit(xs, ys, { batchSize, epochs, shuffle: false, verbose: 0, callbacks, ...fit })
    else if (by === 'fitDataset')
      history = await model.fitDataset(tf.data.generator(batches), { epochs, verbose: 0, callbacks, ...fit })
    else if (by === 'own') {
      const dataset = tf.data.generator(() => batches((count) => count % size === me))
      history = await model.fitDataset(strategy.own(dataset), { epochs, verbose: 0, callbacks })
    } else if (by === 'trainOnBatch') {
      const losses = []
      for (let epoch = 0; epoch < epochs; epoch++)
        for (const batch of batches()) {
          losses.push((await model.trainOnBatch(batch.xs, batch.ys))[0])
          tf.dispose(batch)
        }
      history = { history: { loss: losses } }
    } else {
      const own = strategy.optimizer(optimizers[optimizer]())
      const losses = []
      strategy.broadcast(model.weights)
      for (let epoch = 0; epoch < epochs; epoch++)
        for (const batch of batches()) {
          const loss = strategy.run(
            ({ xs, ys }) =>
              own.minimize(() => tf.losses.softmaxCrossEntropy(ys, tf.log(model.apply(xs, { training: true }))), true),
            batch,
          )
          losses.push(await strategy.reduce('mean', (await loss.data())[0]))
          tf.dispose([batch, loss])
        }
      history = { history: { loss: losses } }
      own.dispose()
    }
    const weights = weightsOf(model)
    const evaluated = model.evaluate(xs, ys, { batchSize: 64 }).map((value) => value.dataSync()[0])
    model.dispose()
    model.optimizer?.dispose?.()
    tf.dispose([xs, ys])
    const left = tf.memory().numTensors - before
    return {
      weights: me === 0 ? weights : undefined,
      hash: hash(weights),
      history: history.history,
      seen,
      evaluated,
      left,
    }
  },
  async nan({ size, policy }) {
    const strategy = new MultiWorkerMirroredStrategy(tf, await group(size, policy), { nan: policy })
    const { xs, ys } = data(64)
    const values = xs.dataSync().slice()
    // In the part of the second rank, of the second of two batches.
    values[(32 + 20) * 100] = Number.NaN
    const broken = tf.tensor4d(values, xs.shape)
    const model = build('mlp', 1)
    strategy.scope(() => model.compile({ optimizer: 'sgd', loss: 'categoricalCrossentropy' }))
    const { history } = await model.fit(broken, ys, { batchSize: 32, epochs: 2, shuffle: false, verbose: 0 })
    return { history, finite: weightsOf(model).every(Number.isFinite), hash: hash(weightsOf(model)) }
  },
  /** An official example's way of training: all but the scope is as it is written for one process. */
  async script({ size }) {
    const strategy = new MultiWorkerMirroredStrategy(tf, await group(size))
    return strategy.scope(async () => {
      const { xs, ys } = data(200)
      const model = tf.sequential()
      model.add(tf.layers.flatten({ inputShape: [10, 10, 1] }))
      model.add(tf.layers.dense({ units: 32, activation: 'relu' }))
      model.add(tf.layers.dropout({ rate: 0.25 }))
      model.add(tf.layers.dense({ units: 4, activation: 'softmax' }))
      model.compile({ optimizer: 'adam', loss: 'categoricalCrossentropy', metrics: ['accuracy'] })
      const batchLosses = []
      const history = await model.fit(xs, ys, {
        batchSize: 32,
        epochs: 60,
        validationSplit: 0.2,
        classWeight: { 0: 1, 1: 2, 2: 1, 3: 1 },
        verbose: 0,
        callbacks: [
          tf.callbacks.earlyStopping({ monitor: 'val_loss', patience: 3 }),
          new tf.CustomCallback({ onBatchEnd: (_, logs) => void batchLosses.push(logs.loss) }),
        ],
      })
      const [loss] = model.evaluate(xs, ys).map((value) => value.dataSync()[0])
      return { history: history.history, hash: hash(weightsOf(model)), loss, batches: batchLosses.length }
    })
  },
  /** Two inputs and outputs, penalties, frozen and normed layers, every kind of callback, and the rarer options of fit. */
  async options({ size }) {
    const strategy = new MultiWorkerMirroredStrategy(tf, await group(size))
    const { layers } = tf
    const { xs, ys } = data(150)
    const more = tf.randomUniform([150, 5], -1, 1, 'float32', 3)
    const sums = tf.tidy(() => more.sum(1, true))
    const kernelInitializer = (seed) => tf.initializers.glorotUniform({ seed })
    const model = strategy.scope(() => {
      const image = tf.input({ shape: [10, 10, 1], name: 'image' })
      const extra = tf.input({ shape: [5], name: 'extra' })
      const kernelRegularizer = tf.regularizers.l1l2({ l1: 0.001, l2: 0.01 })
      const frozen = layers.dense({ units: 8, trainable: false, kernelInitializer: kernelInitializer(1) })
      const flat = frozen.apply(layers.flatten().apply(image))
      const dense = { units: 6, activation: 'tanh', kernelInitializer: kernelInitializer(2), kernelRegularizer }
      const joint = layers.dense(dense).apply(layers.concatenate().apply([flat, extra]))
      const kind = { units: 4, activation: 'softmax', name: 'kind', kernelInitializer: kernelInitializer(3) }
      const sum = { units: 1, name: 'sum', kernelInitializer: kernelInitializer(4) }
      const outputs = [layers.dense(kind).apply(joint), layers.dense(sum).apply(joint)]
      return tf.model({ inputs: [image, extra], outputs })
    })
    model.compile({
      optimizer: tf.train.rmsprop(0.005),
      loss: { kind: 'categoricalCrossentropy', sum: 'meanSquaredError' },
      metrics: { kind: 'accuracy', sum: 'mse' },
    })
    const seen = []
    const note = (name) => (at, logs) => void seen.push([name, at, ...Object.keys(logs ?? {}).sort()])
    class Own extends tf.Callback {
      async onEpochEnd(epoch, logs) {
        seen.push(['own', epoch, this.params.epochs, this.model.name === model.name, typeof logs.val_loss])
      }
    }
    const lambda = {
      onTrainBegin: () => void seen.push(['begin']),
      onEpochEnd: note('epoch'),
      onBatchEnd: note('batch'),
    }
    const custom = new tf.CustomCallback({ onEpochBegin: note('custom'), onTrainEnd: () => void seen.push(['end']) })
    const stopping = tf.callbacks.earlyStopping({ monitor: 'val_loss', patience: 50 })
    const { history, epoch } = await model.fit(
      { image: xs, extra: more },
      { kind: ys, sum: sums },
      {
        batchSize: 32,
        epochs: 5,
        initialEpoch: 2,
        shuffle: false,
        verbose: 0,
        yieldEvery: 'batch',
        validationData: [
          { image: xs, extra: more },
          { kind: ys, sum: sums },
        ],
        callbacks: [lambda, custom, stopping, new Own()],
      },
    )
    const dataset = tf.data.generator(function* () {
      for (let at = 0; at < 150; at += 50) {
        const part = (tensor) =>
          tensor.slice([at, ...tensor.shape.slice(1).map(() => 0)], [50, ...tensor.shape.slice(1)])
        yield { xs: { image: part(xs), extra: part(more) }, ys: { kind: part(ys), sum: part(sums) } }
      }
    })
    const options = { epochs: 2, verbose: 0, callbacks: lambda }
    const all = [history]
    const validationData = [
      { image: xs, extra: more },
      { kind: ys, sum: sums },
    ]
    for (const given of [
      { validationData: dataset, batchesPerEpoch: 6, validationBatches: 2 },
      { validationData, validationBatchSize: 40, classWeight: [{ 0: 1, 1: 4, 2: 1, 3: 1 }, null] },
    ]) {
      const source = given.batchesPerEpoch ? dataset.repeat(5) : dataset
      all.push((await model.fitDataset(source, { ...options, ...given })).history)
    }
    const [loss] = model.evaluate([xs, more], [ys, sums], { batchSize: 64 }).map((value) => value.dataSync()[0])
    return { weights: weightsOf(model), history: all, epoch, seen, loss }
  },
  async mismatch({ size, what }) {
    const strategy = new MultiWorkerMirroredStrategy(tf, await group(size, what))
    const { xs, ys } = data(me === 1 && what === 'rows' ? 63 : 64)
    const model = build(what === 'model' && me === 1 ? 'other' : 'mlp', 1)
    const optimizer = what === 'optimizer' && me === 1 ? tf.train.sgd(0.2) : tf.train.sgd(0.1)
    strategy.scope(() => model.compile({ optimizer, loss: 'categoricalCrossentropy' }))
    await model.fit(xs, ys, { epochs: 1, verbose: 0 })
  },
  async absent({ size }) {
    const strategy = new MultiWorkerMirroredStrategy(tf, await group(size, 'absent', '2s'))
    if (me === 1) return 'elsewhere'
    const { xs, ys } = data(64)
    const model = build('mlp', 1)
    strategy.scope(() => model.compile({ optimizer: 'sgd', loss: 'categoricalCrossentropy' }))
    await model.fit(xs, ys, { verbose: 0 })
  },
  async forever({ size, dying }) {
    const strategy = new MultiWorkerMirroredStrategy(tf, await group(size, 'forever'))
    const { xs, ys } = data(256)
    const model = build('mlp', 1)
    strategy.scope(() => model.compile({ optimizer: 'sgd', loss: 'categoricalCrossentropy' }))
    const callbacks = {
      // The last thing done before was an exchange.
      onBatchBegin: (batch) => void (batch === 5 && me === dying && process.kill(process.pid, 'SIGKILL')),
      onEpochEnd: (epoch) => void (epoch === 2 && process.send({ reached: true })),
    }
    await model.fit(xs, ys, { batchSize: 16, epochs: 1e9, verbose: 0, callbacks })
  },
}

process.on('message', async ({ id, job, ...options }) => {
  try {
    process.send({ id, result: await jobs[job](options) })
  } catch (error) {
    const { code, what, rank, message, stack } = error
    process.send({ id, error: { code, what, rank, message, stack } })
  }
})
process.on('disconnect', () => process.exit())
process.send({ ready: true })
