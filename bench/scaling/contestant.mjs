// Trains a convolutional network whenever it is told to: `contestant.mjs BACKEND WAY RANK ADDRESS …`. `alone` trains on all rows;
// `independent` on half of each batch, as one of two that know nothing of each other; `gang` and `threads` by a strategy.
import { loadBackend, MirroredStrategy, MultiWorkerMirroredStrategy } from '@gangflow/plugin-tfjs'
import { connect } from '@gangflow/plugin-tfjs/collectives'

const [backend, way, rank, ...addresses] = process.argv.slice(2)
console.warn = console.log = () => {}
const folder = new URL('../..', import.meta.url).pathname
const tf = await loadBackend(folder, backend)
const replicas = 2
const parts = way === 'independent' ? replicas : 1
const batchSize = 64 / parts
const rows = 4 * batchSize
const xs = tf.randomNormal([rows, 32, 32, 3])
const ys = tf.oneHot(tf.range(0, rows, 1, 'int32').mod(10).toInt(), 10)

const build = () => {
  const { layers } = tf
  const convolution = (filters, more = {}) =>
    layers.conv2d({ filters, kernelSize: 3, padding: 'same', activation: 'relu', ...more })
  const model = tf.sequential({
    layers: [
      convolution(32, { inputShape: [32, 32, 3] }),
      convolution(32),
      layers.maxPooling2d({ poolSize: 2 }),
      convolution(64),
      layers.maxPooling2d({ poolSize: 2 }),
      layers.flatten(),
      layers.dense({ units: 10, activation: 'softmax' }),
    ],
  })
  model.compile({ optimizer: 'sgd', loss: 'categoricalCrossentropy' })
  return model
}

const secret = Buffer.alloc(32, 1)
const strategies = {
  alone: async () => undefined,
  independent: async () => undefined,
  gang: async () =>
    new MultiWorkerMirroredStrategy(tf, await connect({ rank: Number(rank), size: replicas, addresses, secret })),
  threads: async () => new MirroredStrategy({ replicas, folder }),
}
const strategy = await strategies[way]()
const model = strategy ? strategy.scope(build) : build()

process.on('message', async () => {
  await model.fit(xs, ys, { batchSize, epochs: 1, verbose: 0 })
  process.send({ done: true })
})
process.on('disconnect', () => process.exit())
process.send({ ready: true })
