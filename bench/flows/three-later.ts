import { setTimeout as pause } from 'node:timers/promises'
import { FlowSpec, step } from '@gangflow/core'

/** The steps around a gang, the first of half a second, without the gang. */
export default class ThreeLater extends FlowSpec {
  @step async start() {
    await pause(500)
    this.next(this.join)
  }
  @step join() {
    this.next(this.end)
  }
  @step end() {}
}
