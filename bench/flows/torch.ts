import { current, FlowSpec, type Inputs, step } from '@gangflow/core'
import { type Launcher, torchrun } from '@gangflow/plugin-torchrun'

const launcher = process.env['BENCH_TORCH_LAUNCHER'] as Launcher

/** Four ranks on one member by the launcher that the bench asks for, timed on the machine's monotonic clock. */
export default class Torch extends FlowSpec {
  @step start() {
    this.next(this.train, { numParallel: 1 })
  }
  @torchrun({ launcher, nprocPerNode: 4 })
  @step
  async train() {
    const called = process.hrtime.bigint()
    await current.torch.run({ entrypoint: '../torch/all_reduce.py' })
    console.log(`called at ${called}, settled at ${process.hrtime.bigint()}`)
    this.next(this.join)
  }
  @step join(_inputs: Inputs<Torch>) {
    this.next(this.end)
  }
  @step end() {}
}
