import { current } from '@gangflow/core'
import type { LayersModel } from '@tensorflow/tfjs'

/** Learns the sum of three numbers, twice; a member may die in its fifth epoch. */
export async function train(dying: number | undefined): Promise<LayersModel> {
  const { tf, strategy } = current.tf
  const xs = tf.randomUniform([60, 3], 0, 1, 'float32', 5)
  const ys = tf.tidy(() => xs.sum(1, true).mul(2))
  const model = strategy.scope(() => {
    const made = tf.sequential({ layers: [tf.layers.dense({ units: 1, inputShape: [3] })] })
    made.compile({ optimizer: tf.train.adam(0.05), loss: 'meanSquaredError' })
    return made
  })
  const onEpochEnd = (epoch: number) => {
    if (epoch === 4 && current.parallel.nodeIndex === dying) process.kill(process.pid, 'SIGKILL')
  }
  await model.fit(xs, ys, { batchSize: 20, epochs: 40, verbose: 0, callbacks: { onEpochEnd } })
  return model
}
