import { setTimeout as pause } from 'node:timers/promises'
import { FlowSpec, type Inputs, parallel, step } from '@gangflow/core'

/** The gang after a step that takes half a second. */
export default class GangLater extends FlowSpec {
  @step async start() {
    await pause(500)
    this.next(this.meet, { numParallel: 4 })
  }
  @parallel()
  @step
  meet() {
    this.next(this.join)
  }
  @step join(_inputs: Inputs<GangLater>) {
    this.next(this.end)
  }
  @step end() {}
}
