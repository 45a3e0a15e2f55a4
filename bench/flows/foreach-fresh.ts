import { FlowSpec, type Inputs, step } from '@gangflow/core'

/** Two hundred empty tasks. */
export default class ForeachFresh extends FlowSpec {
  items = Array.from({ length: 200 }, (_, index) => index)

  @step start() {
    this.next(this.item, { foreach: 'items' })
  }
  @step item(_item: number) {
    this.next(this.join)
  }
  @step join(_inputs: Inputs<ForeachFresh>) {
    this.next(this.end)
  }
  @step end() {}
}
