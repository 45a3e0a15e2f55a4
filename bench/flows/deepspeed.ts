import { current, FlowSpec, type Inputs, step } from '@gangflow/core'
import { type DeepSpeedLauncher, deepspeed } from '@gangflow/plugin-deepspeed'

/** Two ranks on one member by the launcher that the bench asks for, timed on the machine's monotonic clock. */
export default class DeepSpeed extends FlowSpec {
  @step start() {
    this.next(this.train, { numParallel: 1 })
  }
  @deepspeed({ nprocPerNode: 2 })
  @step
  async train() {
    console.log(`called at ${process.hrtime.bigint()}`)
    const launcher = process.env['BENCH_LAUNCHER'] as DeepSpeedLauncher
    await current.deepspeed.run({ entrypoint: '../engines/ranks.py', launcher, localRank: false })
    this.next(this.join)
  }
  @step join(_inputs: Inputs<DeepSpeed>) {
    this.next(this.end)
  }
  @step end() {}
}
