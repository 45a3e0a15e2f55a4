import { FlowSpec, step } from '@gangflow/core'

/** The steps around a gang, without the gang. */
export default class Three extends FlowSpec {
  @step start() {
    this.next(this.join)
  }
  @step join() {
    this.next(this.end)
  }
  @step end() {}
}
