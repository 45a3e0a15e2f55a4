import { current, FlowSpec, type Inputs, parameter, step } from '@gangflow/core'
import { deepspeed } from '@gangflow/plugin-deepspeed'

/** A small transformer trained by DeepSpeed with ZeRO stage 1, on CPUs as on GPUs. */
export default class DeepSpeedTransformer extends FlowSpec {
  readonly members = parameter.number({ default: 2, help: 'members of the gang' })
  readonly steps = parameter.number({ default: 60, help: 'optimizer steps' })
  deepspeedOutput!: Record<string, Uint8Array>
  result!: { world: number; first: number; last: number; seconds: number }

  @step start() {
    this.next(this.train, { numParallel: this.members })
  }

  @deepspeed()
  @step
  async train() {
    await current.deepspeed.run({
      entrypoint: 'train.py',
      args: { steps: this.steps },
      config: {
        train_micro_batch_size_per_gpu: 16,
        zero_optimization: { stage: 1 },
        optimizer: { type: 'Adam', params: { lr: 3e-3, torch_adam: true } },
        gradient_clipping: 1.0,
      },
    })
    this.next(this.join)
  }

  @step join(inputs: Inputs<DeepSpeedTransformer, 'train'>) {
    const file = inputs.control.deepspeedOutput['rank0/result.json']
    this.result = JSON.parse(Buffer.from(file!).toString())
    this.next(this.end)
  }

  @step end() {
    const { world, first, last, seconds } = this.result
    console.log(`loss ${first} -> ${last} by ${world} ranks in ${seconds} s`)
  }
}
