import { FlowSpec, type Inputs, parallel, step } from '@gangflow/core'

/** A gang of four with an empty body, whose size is known only when the step before it says it. */
export default class GangCold extends FlowSpec {
  size = 4

  @step start() {
    this.next(this.meet, { numParallel: this.size })
  }
  @parallel()
  @step
  meet() {
    this.next(this.join)
  }
  @step join(_inputs: Inputs<GangCold>) {
    this.next(this.end)
  }
  @step end() {}
}
