import { FlowSpec, type Inputs, parameter, step } from '@gangflow/core'

/** Empty tasks. */
export default class Foreach extends FlowSpec {
  readonly items = parameter.number({ default: 500 })
  list!: number[]

  @step start() {
    this.list = Array.from({ length: this.items }, (_, index) => index)
    this.next(this.each, { foreach: 'list' })
  }

  @step each(_item: number) {
    this.next(this.gather)
  }

  @step gather(inputs: Inputs<Foreach>) {
    if (inputs.length === 0) throw new Error('no items')
    this.next(this.end)
  }

  @step end() {}
}
