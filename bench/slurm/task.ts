import { FlowSpec, step } from '@gangflow/core'

/** When a step ends, and when the one after it begins. */
export default class Task extends FlowSpec {
  before!: number

  @step start() {
    this.before = Date.now()
    this.next(this.end)
  }

  @step end() {
    console.log(`latency ${Date.now() - this.before}`)
  }
}
