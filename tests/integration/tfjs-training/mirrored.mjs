// MirroredStrategy in one process: `mirrored.mjs BACKEND JOB`; prints the job's result as JSON.
import { modelsOf } from './models.mjs'

const packageOf = new URL('../../../packages/plugin-tfjs/dist/', import.meta.url)
const { loadBackend, MirroredStrategy } = await import(new URL('index.js', packageOf))
const [backend, job] = process.argv.slice(2)
const tf = await loadBackend(new URL('../../..', import.meta.url).pathname, backend)
const { data, build, optimizers } = modelsOf(tf)
const most = 4

/** Makes a model, whose weights after each step are written down: in the row of its replica. */
function maker(kind, optimizer) {
  const weights = new Float32Array(new SharedArrayBuffer(4 * most * 10_000))
  const count = new Int32Array(new SharedArrayBuffer(4))
  const make = () => {
    const replica = Atomics.add(count, 0, 1)
    // Every replica starts elsewhere: what counts is where replica 0 starts.
    const model = build(kind, 1 + replica)
    const own = optimizers[optimizer]()
    const minimize = own.minimize.bind(own)
    own.minimize = (...given) => {
      const loss = minimize(...given)
      const all = model.getWeights().flatMap((weight) => [...weight.dataSync()])
      weights.set(all, replica * 10_000)
      return loss
    }
    model.compile({ optimizer: own, loss: 'categoricalCrossentropy', metrics: ['accuracy'] })
    return model
  }
  return {
    make,
    rows: (size) => Array.from({ length: size }, (_, at) => weights.subarray(at * 10_000, (at + 1) * 10_000)),
  }
}

const difference = (one, other) => one.reduce((sum, value, at) => Math.max(sum, Math.abs(value - other[at])), 0)
const values = (tensors) => [tensors].flat().map((tensor) => tensor.dataSync()[0])

async function train(model, { by = 'fit', validated = 'tensors', rows = 256, batchSize = 32, epochs = 3, fit = {} }) {
  const { xs, ys } = data(rows)
  const seen = []
  const callbacks = { onEpochEnd: (_, logs) => void seen.push(logs) }
  const batches = function* () {
    for (let at = 0; at < rows; at += batchSize)
      yield {
        xs: tf.slice(xs, [at, 0, 0, 0], [Math.min(batchSize, rows - at), 10, 10, 1]),
        ys: tf.slice(ys, [at, 0], [Math.min(batchSize, rows - at), 4]),
      }
  }
  if (by === 'fit') await model.fit(xs, ys, { batchSize, epochs, shuffle: false, verbose: 0, callbacks, ...fit })
  else if (by === 'fitDataset')
    await model.fitDataset(tf.data.generator(batches), {
      epochs,
      verbose: 0,
      callbacks,
      validationData: validated === 'tensors' ? [xs, ys] : tf.data.generator(batches),
      ...fit,
    })
  else
    for (let epoch = 0; epoch < epochs; epoch++)
      for (const batch of batches()) seen.push({ loss: (await model.trainOnBatch(batch.xs, batch.ys))[0] })
  const evaluated = values(model.evaluate(xs, ys, { batchSize: 50 }))
  const predicted = [...model.predict(xs, { batchSize: 50 }).dataSync()]
  return { seen, evaluated, predicted }
}

const jobs = {
  /** Each training alone, in two and in four replicas: how far apart. */
  async equivalence() {
    const cases = [
      ...['sgd', 'momentum', 'adam'].flatMap((optimizer) => [
        ['cnn', optimizer, {}],
        ['mlp', optimizer, {}],
      ]),
      ['cnn', 'adam', { rows: 242, batchSize: 30, fit: { validationSplit: 0.15 } }],
      ['cnn', 'adam', { rows: 242, batchSize: 30, by: 'fitDataset' }],
      ['cnn', 'sgd', { rows: 100, batchSize: 30, by: 'fitDataset', validated: 'dataset' }],
      ['mlp', 'momentum', { rows: 99, batchSize: 33, by: 'trainOnBatch' }],
    ]
    const strategies = [2, 4].map((replicas) => new MirroredStrategy({ replicas }))
    const results = []
    for (const [kind, optimizer, options] of cases) {
      const alone = maker(kind, optimizer)
      const wanted = await train(alone.make(), options)
      for (const strategy of strategies) {
        const { make, rows } = maker(kind, optimizer)
        const given = await train(strategy.scope(make), options)
        const [first, ...others] = rows(strategy.numReplicasInSync)
        results.push({
          about: `${strategy.numReplicasInSync} replicas, ${kind}, ${optimizer}, ${JSON.stringify(options)}`,
          weights: difference(first, alone.rows(1)[0]),
          trained: first.some((value) => value !== 0),
          alike: others.every((row) => row.every((value, at) => value === first[at])),
          logs: wanted.seen.map((logs, at) =>
            Math.max(...Object.entries(logs).map(([name, value]) => Math.abs(value - given.seen[at][name]))),
          ),
          evaluated: difference(wanted.evaluated, given.evaluated),
          predicted: difference(wanted.predicted, given.predicted),
        })
      }
    }
    for (const strategy of strategies) await strategy.close()
    return results
  },
  /** What goes wrong, and that the next call goes well. */
  async troubles() {
    const strategy = new MirroredStrategy({ replicas: 3 })
    const { xs, ys } = data(64)
    const told = {}
    const attempt = async (name, perform) => {
      const begun = performance.now()
      try {
        await perform()
        told[name] = { ok: true }
      } catch ({ code, message, rank, cause }) {
        told[name] = { code, message, rank, stack: cause?.stack, took: performance.now() - begun }
      }
    }
    const trouble = new Int32Array(new SharedArrayBuffer(8))
    const count = new Int32Array(new SharedArrayBuffer(4))
    const model = strategy.scope(() => {
      const replica = Atomics.add(count, 0, 1) % 3
      const made = build('mlp', 1)
      const isIll = replica === 2 || replica === 1
      const brokenLoss = (wanted, given) => {
        if (isIll && Atomics.compareExchange(trouble, 0, 1, 0) === 1) throw new TypeError('on purpose')
        if (isIll && Atomics.compareExchange(trouble, 0, 2, 0) === 2) process.exit(3)
        return tf.losses.softmaxCrossEntropy(wanted, given)
      }
      made.compile({ optimizer: 'adam', loss: brokenLoss })
      return made
    })
    const training = (more) => () => model.fit(xs, ys, { verbose: 0, ...more })
    await attempt('well', training())
    trouble[0] = 1
    await attempt('throws', training())
    await attempt('wrong data', () => model.fit(xs, tf.zeros([64, 5]), { verbose: 0 }))
    await attempt('well again', () => model.trainOnBatch(xs, ys))
    trouble[0] = 2
    await attempt('dies', training())
    const onBatchEnd = () => {
      throw new Error('of the person')
    }
    await attempt('callback', training({ callbacks: { onBatchEnd } }))
    await attempt('predict within', training({ callbacks: { onEpochEnd: () => model.predict(xs) } }))
    const generator = function* () {
      yield { xs: xs.clone(), ys: ys.clone() }
      throw new Error('no more')
    }
    await attempt('dataset', () => model.fitDataset(tf.data.generator(generator), { epochs: 2, verbose: 0 }))
    const other = build('mlp', 1)
    await attempt('elsewhere', () => strategy.scope(() => other))
    await attempt('compiled elsewhere', () => model.compile({ optimizer: 'sgd', loss: 'meanSquaredError' }))
    await attempt('trained elsewhere', training())
    const another = strategy.scope(() => {
      const made = build('mlp', 1)
      made.compile({ optimizer: 'sgd', loss: 'meanSquaredError' })
      return made
    })
    await attempt('fit within scope', () =>
      strategy.scope(() => {
        const made = build('mlp', 1)
        made.compile({ optimizer: 'sgd', loss: 'meanSquaredError' })
        return made.fit(xs, ys)
      }),
    )
    const first = another.fit(xs, ys, { verbose: 0 })
    await attempt('two at once', () => another.fit(xs, ys, { verbose: 0 }))
    // It waits for the training that is under way.
    await strategy.close()
    await attempt('closed under way', () => first)
    await attempt('closed', () => another.fit(xs, ys, { verbose: 0 }))
    return told
  },
}
console.log(`RESULT ${JSON.stringify(await jobs[job]())}`)
