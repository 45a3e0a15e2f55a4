import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { current, FlowSpec, type Inputs, parameter, step } from '@gangflow/core'
import { ray } from '@gangflow/plugin-ray'

/** Ray Train's TorchTrainer on handwritten digits, on a Ray cluster that the gang forms. */
export default class RayTrainDigits extends FlowSpec {
  readonly members = parameter.number({ default: 2, help: 'Ray nodes, with one worker each' })
  readonly epochs = parameter.number({ default: 10 })
  readonly lose = parameter.boolean({ default: false, help: 'kill a worker half-way' })
  result!: { world: number; loss: number; began: number; accuracy: number; checkpoint: string }
  model!: Uint8Array

  @step start() {
    this.next(this.train, { numParallel: this.members })
  }

  // Ray Train asks the dashboard which of its workers are alive.
  @ray({ dashboard: true })
  @step
  async train() {
    const { stdout } = await current.ray.run({
      entrypoint: 'train.py',
      args: [
        ...['--data', 'digits.csv.gz', '--storage', current.ray.storagePath, '--epochs', this.epochs],
        ...(this.lose ? ['--lose'] : []),
      ],
    })
    this.result = JSON.parse(stdout.trim().split('\n').at(-1)!)
    this.model = readFileSync(join(this.result.checkpoint, 'model.pt'))
    this.next(this.join)
  }

  @step join(inputs: Inputs<RayTrainDigits, 'train'>) {
    this.result = inputs.control.result
    this.model = inputs.control.model
    this.next(this.end)
  }

  @step end() {
    const { world, accuracy, loss, began } = this.result
    const again = began > 0 ? `, after a loss from epoch ${began} on` : ''
    console.log(`${world} workers${again}: loss ${loss.toFixed(3)}, accuracy ${accuracy.toFixed(3)}`)
  }
}
