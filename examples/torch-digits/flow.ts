import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { current, FlowSpec, type Inputs, parameter, step } from '@gangflow/core'
import { torchrun } from '@gangflow/plugin-torchrun'
import { accuracyOf, readWeights, type Weights } from './model.js'

const data = new URL('./digits.csv.gz', import.meta.url)
/** Every fifth digit is never trained on. */
const holdOutEvery = 5

interface Metrics {
  worldSize: number
  rows: number
  losses: number[]
  seconds: number
}

/** Trains a classifier of handwritten digits on a gang, and evaluates it on digits that it has never seen. */
export default class TorchDigits extends FlowSpec {
  readonly epochs = parameter.number({ default: 20, help: 'passes over the training digits' })
  readonly members = parameter.number({ default: 4, help: 'members of the gang' })

  heldOut!: { pixels: Uint8Array; labels: Uint8Array }
  metrics!: Metrics
  model!: Uint8Array
  weights!: Weights
  accuracy!: number

  @step start() {
    const rows = gunzipSync(readFileSync(data)).toString().trim().split('\n')
    const held = rows.filter((_, index) => index % holdOutEvery === 0).map((row) => row.split(',').map(Number))
    this.heldOut = {
      pixels: Uint8Array.from(held.flatMap((row) => row.slice(0, 64))),
      labels: Uint8Array.from(held.map((row) => row[64]!)),
    }
    this.next(this.train, { numParallel: this.members })
  }

  @torchrun({ nprocPerNode: 1 })
  @step
  async train() {
    await current.torch.run({
      entrypoint: 'train.py',
      args: { data: 'digits.csv.gz', 'hold-out-every': holdOutEvery, epochs: this.epochs },
    })
    if (current.parallel.isControl) {
      const rank0 = `${current.torch.outputDir}/rank0`
      this.model = readFileSync(`${rank0}/model.pt`)
      this.weights = readWeights(readFileSync(`${rank0}/weights.f32`))
      this.metrics = JSON.parse(readFileSync(`${rank0}/metrics.json`, 'utf8'))
    }
    this.next(this.join)
  }

  @step join(inputs: Inputs<TorchDigits>) {
    const { heldOut, metrics, model, weights } = inputs.control
    this.metrics = metrics
    this.model = model
    this.weights = weights
    this.accuracy = accuracyOf(weights, heldOut)
    this.next(this.end)
  }

  @step end() {
    console.log(`trained on ${this.metrics.rows} digits by ${this.metrics.worldSize} ranks`)
    console.log(`accuracy ${this.accuracy.toFixed(2)}`)
  }
}
