import { createHash } from 'node:crypto'
import { current, FlowSpec, type Inputs, parameter, retry, step } from '@gangflow/core'
import { type EpochMetrics, tensorflow } from '@gangflow/plugin-tfjs'
import type { LayersModel } from '@tensorflow/tfjs'
import { readDigits, tensorsOf } from '../../../examples/tfjs-digits/digits.js'
import { accuracyOf, buildModel } from '../../../examples/tfjs-digits/model.js'
import { alike } from './alike.js'

/** Everything that one gang of two workers and two servers can show. */
export default class Servers extends FlowSpec {
  readonly epochs = parameter.number({ default: 6 })

  model!: LayersModel
  accuracies!: number[]
  hashes!: string[]
  histories!: Record<string, number[]>[]
  metrics!: readonly EpochMetrics[]
  apart!: Record<string, number>
  refused!: (string | undefined)[]
  roles!: string[]

  @step start() {
    this.next(this.train, { numParallel: 4 })
  }

  @retry({ times: 2 })
  @tensorflow({ backend: 'wasm', checkpointEvery: 2 })
  @step
  async train() {
    const { tf, parameterServer, metrics } = current.tf
    const { parallel } = current
    const strategy = await parameterServer({ servers: 2, staleness: 4 })
    this.roles = await parallel.allGather(`${strategy.role} ${strategy.index}`)
    const { xs, ys } = tensorsOf(tf, readDigits('training'))
    const model = strategy.scope(() => buildModel(tf))
    const onEpochEnd = (epoch: number) => {
      if (parallel.attempt === 0 && epoch === 2 && parallel.nodeIndex === 1) process.kill(process.pid, 'SIGKILL')
    }
    // A worker dies in the first attempt, a server in the second; the third goes on.
    if (parallel.attempt === 1 && parallel.nodeIndex === 3) setTimeout(() => process.kill(process.pid, 'SIGKILL'), 300)
    const { history } = await model.fit(xs, ys, {
      batchSize: 64,
      epochs: this.epochs,
      validationSplit: 0.1,
      verbose: 0,
      callbacks: { onEpochEnd },
    })
    const weights = createHash('sha256')
    for (const weight of model.getWeights()) weights.update(weight.dataSync())
    for (const { tensor } of await model.optimizer.getWeights()) weights.update(tensor.dataSync())
    this.hashes = await parallel.allGather(weights.digest('hex'))
    this.histories = await parallel.allGather(history as Record<string, number[]>)
    this.accuracies = await parallel.allGather(accuracyOf(tf, model, readDigits('held out')))
    this.metrics = [...metrics]
    Object.assign(this, await alike())
    this.model = model
    this.next(this.join)
  }

  @step join(inputs: Inputs<Servers>) {
    const { model, accuracies, hashes, histories, metrics, apart, refused, roles } = inputs.control
    Object.assign(this, { model, accuracies, hashes, histories, metrics, apart, refused, roles })
    this.next(this.end)
  }

  @step end() {}
}
