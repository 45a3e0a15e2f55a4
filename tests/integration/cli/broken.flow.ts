import { FlowSpec, step } from '@gangflow/core'

export default class Broken extends FlowSpec {
  @step start() {
    if (Math.random() > 0.5) this.next(this.left)
    else this.next(this.end)
  }

  @step left() {
    this.next(this.end)
  }

  @step end() {}
}
