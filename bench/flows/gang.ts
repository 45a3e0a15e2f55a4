import { FlowSpec, type Inputs, parallel, step } from '@gangflow/core'

/** A gang of four with an empty body. */
export default class Gang extends FlowSpec {
  @step start() {
    this.next(this.meet, { numParallel: 4 })
  }
  @parallel()
  @step
  meet() {
    this.next(this.join)
  }
  @step join(_inputs: Inputs<Gang>) {
    this.next(this.end)
  }
  @step end() {}
}
