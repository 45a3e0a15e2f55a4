import { FlowSpec, step } from '@gangflow/core'

/** The least that is a flow. */
export default class Single extends FlowSpec {
  @step start() {
    this.next(this.end)
  }
  @step end() {}
}
