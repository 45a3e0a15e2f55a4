import { current, FlowSpec, type Inputs, parameter, step } from '@gangflow/core'
import { type DeepSpeedLauncher, deepspeed } from '@gangflow/plugin-deepspeed'

/** A rank on each member by the launcher that the bench asks for, timed on the machine's monotonic clock. */
export default class DeepSpeed extends FlowSpec {
  readonly nodes = parameter.number({ default: 2 })

  @step start() {
    this.next(this.train, { numParallel: this.nodes })
  }
  @deepspeed()
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
