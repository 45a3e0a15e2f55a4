import { current, FlowSpec, type Inputs, parameter, step } from '@gangflow/core'
import { type EpochMetrics, tensorflow } from '@gangflow/plugin-tfjs'
import type { LayersModel } from '@tensorflow/tfjs'
import { curve } from './curve.js'
import { readDigits, tensorsOf } from './digits.js'
import { accuracyOf, buildModel } from './model.js'

/** Trains a convolutional network on handwritten digits over a gang, and evaluates it on digits that it has never seen. */
export default class TfjsDigits extends FlowSpec {
  readonly epochs = parameter.number({ default: 12, help: 'passes over the training digits' })
  readonly members = parameter.number({ default: 4, help: 'members of the gang' })
  readonly batchSize = parameter.number({ default: 64, help: 'rows of the whole gang that a step takes' })

  backend!: string
  /** Seconds an epoch of one member takes. */
  alone!: number
  model!: LayersModel
  metrics!: readonly EpochMetrics[]
  accuracy!: number

  @step start() {
    this.next(this.measure, { numParallel: 1 })
  }

  /** One member trains for a few epochs, to compare with. */
  @tensorflow()
  @step
  async measure() {
    this.alone = fastest(await this.fit(3))
    this.next(this.measured)
  }

  @step measured(inputs: Inputs<TfjsDigits>) {
    this.alone = inputs.control.alone
    this.next(this.train, { numParallel: this.members })
  }

  @tensorflow()
  @step
  async train() {
    this.metrics = await this.fit(this.epochs)
    this.backend = current.tf.backend
    this.next(this.join)
  }

  @step join(inputs: Inputs<TfjsDigits>) {
    const { alone, backend, metrics, model } = inputs.control
    this.alone = alone
    this.backend = backend
    this.metrics = metrics
    this.model = model
    this.next(this.end)
  }

  @step async end() {
    const { default: tf } = await import('@tensorflow/tfjs')
    this.accuracy = accuracyOf(tf, this.model, readDigits('held out'))
    const losses = this.metrics.map(({ logs }) => logs['loss']!)
    console.log(`loss over ${losses.length} epochs`)
    for (const line of curve(losses)) console.log(line)
    const together = fastest(this.metrics)
    const gain = `${(this.alone / together).toFixed(2)} times as fast`
    console.log(
      `time per epoch: ${ms(this.alone)} on one member, ${ms(together)} on ${this.members} (${gain}, ${this.backend})`,
    )
    console.log(`accuracy ${(100 * this.accuracy).toFixed(1)} % on held-out digits`)
    console.log('model and metrics: npx gangflow artifacts TfjsDigits/latest/end')
  }

  /** What one would write for one process, within the scope. */
  private async fit(epochs: number): Promise<readonly EpochMetrics[]> {
    const { tf, strategy, metrics } = current.tf
    const { xs, ys } = tensorsOf(tf, readDigits('training'))
    this.model = strategy.scope(() => buildModel(tf))
    await this.model.fit(xs, ys, { batchSize: this.batchSize, epochs, verbose: 0 })
    return metrics
  }
}

/** Seconds of the epoch that was disturbed least. */
const fastest = (metrics: readonly EpochMetrics[]): number => Math.min(...metrics.map(({ seconds }) => seconds))
const ms = (seconds: number): string => `${Math.round(seconds * 1000)} ms`
