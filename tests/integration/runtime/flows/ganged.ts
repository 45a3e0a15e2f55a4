import { current, FlowSpec, type Inputs, parallel, parameter, step } from '@gangflow/core'

/** Two gangs, one of computed size; the last join fails unless it is mended. */
export default class Ganged extends FlowSpec {
  readonly fail = parameter.boolean({ default: false })
  own!: number
  nodes!: number[]
  size!: number

  @step start() {
    this.next(this.many, { numParallel: 3 })
  }

  @parallel()
  @step
  async many() {
    const all = await current.parallel.allGather(current.parallel.nodeIndex * 10)
    this.own = all[current.parallel.nodeIndex]!
    this.next(this.join)
  }

  @step join(inputs: Inputs<Ganged, 'many'>) {
    this.nodes = inputs.map((input) => input.own)
    this.size = 2
    this.next(this.some, { numParallel: this.size })
  }

  @parallel()
  @step
  some() {
    this.own = 7 + current.parallel.nodeIndex
    this.next(this.joinSome)
  }

  @step joinSome(inputs: Inputs<Ganged, 'some'>) {
    if (this.fail && !process.env['MENDED']) throw new Error('not mended')
    this.nodes = inputs.map((input) => input.own)
    this.next(this.end)
  }

  @step end() {}
}
