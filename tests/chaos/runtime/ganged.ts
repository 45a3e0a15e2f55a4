import { setTimeout as pause } from 'node:timers/promises'
import { current, FlowSpec, type Inputs, parallel, parameter, step } from '@gangflow/core'

/** A gang that works for as long as it is told to. */
export default class Ganged extends FlowSpec {
  readonly forMs = parameter.number()
  own!: number
  total!: number

  @step start() {
    this.next(this.many, { numParallel: 2 })
  }

  @parallel()
  @step
  async many() {
    await current.parallel.barrier()
    console.log('works')
    await pause(process.env['SHORT'] ? 0 : this.forMs)
    this.own = current.parallel.nodeIndex + 1
    this.next(this.join)
  }

  @step join(inputs: Inputs<Ganged, 'many'>) {
    this.total = inputs.reduce((sum, input) => sum + input.own, 0)
    this.next(this.end)
  }

  @step end() {}
}
