import { current, FlowSpec, type Inputs, retry, step } from '@gangflow/core'
import { type EpochMetrics, type Tf, tensorflow } from '@gangflow/plugin-tfjs'
import type { LayersModel, Tensor } from '@tensorflow/tfjs'
import { train } from './train.js'

/** A member dies in the first attempt; the second goes on. */
export default class Training extends FlowSpec {
  model!: LayersModel
  metrics!: readonly EpochMetrics[]
  iterations!: number
  expected!: number
  answer!: number

  @step start() {
    this.next(this.train, { numParallel: 3 })
  }

  @retry({ times: 1 })
  @tensorflow({ backend: 'wasm', checkpointEvery: 2 })
  @step
  async train() {
    this.model = await train(current.parallel.attempt === 0 ? 2 : undefined)
    this.expected = ofOnes(current.tf.tf, this.model)
    this.metrics = current.tf.metrics
    this.iterations = (this.model.optimizer as unknown as { iterations: number }).iterations
    this.next(this.join)
  }

  @step join(inputs: Inputs<Training>) {
    const { model, metrics, iterations, expected } = inputs.control
    this.model = model
    this.metrics = metrics
    this.iterations = iterations
    this.expected = expected
    this.next(this.end)
  }

  @step async end() {
    const { default: tf } = await import('@tensorflow/tfjs')
    this.answer = ofOnes(tf, this.model)
  }
}

const ofOnes = (tf: Tf, model: LayersModel): number => (model.predict(tf.ones([1, 3])) as Tensor).dataSync()[0]!
