import { FlowSpec, step } from '@gangflow/core'

/** Its branches are never joined. */
export default class Unjoined extends FlowSpec {
  @step start() {
    this.next(this.a, this.b)
  }

  @step a() {
    this.next(this.end)
  }

  @step b() {
    this.next(this.end)
  }

  @step end() {}
}
