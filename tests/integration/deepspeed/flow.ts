import { current, FlowSpec, type Inputs, parameter, retry, step } from '@gangflow/core'
import { type DeepSpeedLauncher, deepspeed } from '@gangflow/plugin-deepspeed'

/** Trains; or each attempt has one of the faults that are asked for, `kill`, `raise`, `launcher` (is killed) or `hang`, by its launcher: `raise deepspeed`. */
export default class OnDeepSpeed extends FlowSpec {
  readonly members = parameter.number({ default: 2 })
  readonly nproc = parameter.number({ default: 1 })
  readonly faults = parameter.string({ default: '' })
  readonly launcher = parameter.string({ default: 'direct' })
  /** The C++ compiler. */
  readonly cxx = parameter.string({ default: 'c++' })
  deepspeedOutput!: Record<string, Uint8Array>
  results!: unknown[]

  @step start() {
    this.next(this.train, { numParallel: this.members })
  }

  @retry({ times: Number(process.env['ON_DEEPSPEED_RETRIES'] ?? 3), delay: 0 })
  @deepspeed()
  @step
  async train() {
    const [fault = '', by = this.launcher] = this.faults.split(',')[current.parallel.attempt]?.split(' ') ?? []
    const script = fault ? { entrypoint: 'fail.py', args: { fault } } : { entrypoint: 'train.py', args: { steps: 30 } }
    await current.deepspeed.run({
      ...script,
      launcher: by as DeepSpeedLauncher,
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
