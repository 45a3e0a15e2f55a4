import { current, FlowSpec, type Inputs, parameter, retry, step } from '@gangflow/core'
import { deepspeed } from '@gangflow/plugin-deepspeed'

/** Trains; or, with `fault`, loses rank 1 in the first attempt by a signal and in the second by an exception. */
export default class OnDeepSpeed extends FlowSpec {
  readonly members = parameter.number({ default: 2 })
  readonly nproc = parameter.number({ default: 1 })
  readonly fault = parameter.boolean({ default: false })
  /** The C++ compiler. */
  readonly cxx = parameter.string({ default: 'c++' })
  deepspeedOutput!: Record<string, Uint8Array>
  results!: unknown[]

  @step start() {
    this.next(this.train, { numParallel: this.members })
  }

  @retry({ times: 1, delay: 0 })
  @deepspeed()
  @step
  async train() {
    const { attempt } = current.parallel
    const script = this.fault
      ? { entrypoint: 'fail.py', args: { attempt } }
      : { entrypoint: 'train.py', args: { steps: 30 } }
    await current.deepspeed.run({
      ...script,
      nprocPerNode: this.nproc,
      env: { CXX: this.cxx },
      config: {
        train_micro_batch_size_per_gpu: 16,
        zero_optimization: { stage: 1 },
        optimizer: { type: 'Adam', params: { lr: 3e-3, torch_adam: true } },
      },
    })
    this.next(this.join)
  }

  @step join(inputs: Inputs<OnDeepSpeed, 'train'>) {
    const files = inputs.map(({ deepspeedOutput = {} }) => deepspeedOutput['rank0/result.json'])
    this.results = files.map((file) => (file ? JSON.parse(Buffer.from(file).toString()) : undefined))
    this.next(this.end)
  }

  @step end() {}
}
