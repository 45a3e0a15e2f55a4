import { FlowSpec, step } from '@gangflow/core'

/** Five empty steps in a row. */
export default class Chain extends FlowSpec {
  @step start() {
    this.next(this.one)
  }
  @step one() {
    this.next(this.two)
  }
  @step two() {
    this.next(this.three)
  }
  @step three() {
    this.next(this.end)
  }
  @step end() {}
}
