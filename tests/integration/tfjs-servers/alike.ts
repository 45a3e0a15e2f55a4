import { current } from '@gangflow/core'
import type { Tf } from '@gangflow/plugin-tfjs'
import type { LayersModel, SGDOptimizer } from '@tensorflow/tfjs'

/** A smooth model, with what is trained, what is not, and an optimizer with state. */
function build(tf: Tf, optimizer: string): LayersModel {
  const { layers } = tf
  const kernelInitializer = tf.initializers.glorotUniform({ seed: 5 })
  const model = tf.sequential({
    layers: [
      layers.dense({ units: 12, inputShape: [20], activation: 'tanh', kernelInitializer }),
      layers.dense({ units: 4, activation: 'softmax', kernelInitializer }),
    ],
  })
  model.compile({ optimizer, loss: 'categoricalCrossentropy', metrics: ['accuracy'] })
  return model
}

const data = (tf: Tf) => {
  const xs = tf.randomUniform([100, 20], -1, 1, 'float32', 9)
  return { xs, ys: tf.tidy(() => tf.oneHot(xs.slice([0, 0], [100, 4]).argMax(1), 4)) }
}

/** How far weights come from those of one process, by optimizer, where nobody is ahead; whether a NaN is left out; and what is refused. */
export async function alike(): Promise<{ apart: Record<string, number>; refused: (string | undefined)[] }> {
  const { tf, parameterServer } = current.tf
  const strategy = await parameterServer({ servers: 1, staleness: 0 })
  const { xs, ys } = data(tf)
  const apart: Record<string, number> = {}
  const refused: (string | undefined)[] = []
  for (const optimizer of ['sgd', 'adam']) {
    const alone = build(tf, optimizer)
    const together = strategy.scope(() => build(tf, optimizer))
    const batches = () =>
      tf.data.generator(function* () {
        for (let at = 0; at < 100; at += 33) {
          const rows = Math.min(33, 100 - at)
          yield { xs: xs.slice([at, 0], [rows, 20]), ys: ys.slice([at, 0], [rows, 4]) }
        }
      })
    for (const model of [alone, together]) {
      const options = { epochs: 2, verbose: 0, shuffle: false, batchSize: 33 }
      await model.fit(xs, ys, options)
      // Goes on with the optimizer as it was left, at another rate.
      if (optimizer === 'sgd') (model.optimizer as SGDOptimizer).setLearningRate(0.005)
      else Object.assign(model.optimizer, { learningRate: 0.005 })
      await model.fitDataset(batches() as never, { epochs: 2, verbose: 0, validationData: batches() as never })
    }
    const expected = values(alone)
    apart[optimizer] = Math.max(...values(together).map((value, at) => Math.abs(value - expected[at]!)))
    apart[`${optimizer} steps`] = (together.optimizer as unknown as { iterations: number }).iterations
  }
  // Workers with batches of their own, of which one has more: nobody waits for who has none left.
  const together = strategy.scope(() => build(tf, 'sgd'))
  const many = current.parallel.nodeIndex === 1 ? 7 : 2
  const own = tf.data.generator(function* () {
    for (let at = 0; at < many; at++) yield { xs: xs.slice([at * 8, 0], [8, 20]), ys: ys.slice([at * 8, 0], [8, 4]) }
  })
  await together.fitDataset(strategy.own(own) as never, { epochs: 2, verbose: 0 })
  apart['own steps'] = (together.optimizer as unknown as { iterations: number }).iterations
  const skipping = await parameterServer({ servers: 2, nan: 'skip' })
  const model = skipping.scope(() => build(tf, 'rmsprop'))
  const broken = tf.tidy(() => tf.concat([xs.slice([0, 0], [90, 20]), tf.fill([10, 20], Number.NaN)]))
  await model.fit(broken, ys, { epochs: 2, verbose: 0 })
  apart['finite'] = Number(values(model).every(Number.isFinite))
  const codeOf = (error: { code?: string }) => error.code
  refused.push(await parameterServer({ servers: 4 }).then(() => undefined, codeOf))
  refused.push(await parameterServer({ staleness: -1 }).then(() => undefined, codeOf))
  refused.push(await model.trainOnBatch(xs, ys).then(() => undefined, codeOf))
  try {
    skipping.scope(() => build(tf, 'adamax'))
  } catch (error) {
    refused.push(codeOf(error as object))
  }
  return { apart, refused }
}

const values = (model: LayersModel) => model.getWeights().flatMap((weight) => [...weight.dataSync()])
