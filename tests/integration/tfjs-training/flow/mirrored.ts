import { current, FlowSpec, type Inputs, step } from '@gangflow/core'
import { MirroredStrategy, tensorflow } from '@gangflow/plugin-tfjs'
import type { LayersModel } from '@tensorflow/tfjs'

/** One member that trains in two threads: what their function uses is captured from this module. */
const units = 12
const layersOf = (tf: typeof current.tf.tf) => [
  tf.layers.dense({ units, inputShape: [6], activation: 'relu' }),
  tf.layers.dense({ units: 3, activation: 'softmax' }),
]
export default class Mirrored extends FlowSpec {
  declare model: LayersModel
  declare losses: number[]
  declare shape: (number | null)[]
  @step start() {
    this.next(this.train, { numParallel: 1 })
  }
  @tensorflow({ backend: 'wasm' })
  @step
  async train() {
    const { tf } = current.tf
    await using strategy = new MirroredStrategy({ replicas: 2 })
    const model = strategy.scope(() => {
      const model = tf.sequential({ layers: layersOf(tf) })
      model.compile({ optimizer: 'adam', loss: 'categoricalCrossentropy' })
      return model
    })
    const xs = tf.randomNormal([300, 6])
    const ys = tf.oneHot(tf.argMax(xs.slice([0, 0], [300, 3]), 1).toInt(), 3)
    const { history } = await model.fit(xs, ys, { epochs: 3, verbose: 0 })
    this.losses = history.loss as number[]
    this.model = model
    this.next(this.join)
  }
  @step join(inputs: Inputs<Mirrored>) {
    this.losses = [...inputs][0]!.losses
    this.shape = [...inputs][0]!.model.outputs[0]!.shape
    this.next(this.end)
  }
  @step end() {}
}
