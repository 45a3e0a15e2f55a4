import { current, FlowSpec, type Inputs, step } from '@gangflow/core'
import { torchrun } from '@gangflow/plugin-torchrun'

/** Four ranks on one member by launcher `torchrun`, timed on the machine's monotonic clock. */
export default class TorchTorchrun extends FlowSpec {
  @step start() {
    this.next(this.train, { numParallel: 1 })
  }
  @torchrun({ launcher: 'torchrun', nprocPerNode: 4 })
  @step
  async train() {
    const called = process.hrtime.bigint()
    await current.torch.run({ entrypoint: '../torch/all_reduce.py' })
    console.log(`called at ${called}, settled at ${process.hrtime.bigint()}`)
    this.next(this.join)
  }
  @step join(_inputs: Inputs<TorchTorchrun>) {
    this.next(this.end)
  }
  @step end() {}
}
