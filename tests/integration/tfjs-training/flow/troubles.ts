import { current, FlowSpec, type Inputs, parameter, step } from '@gangflow/core'
import { tensorflow } from '@gangflow/plugin-tfjs'
import { train } from './train.js'

/** One member dies, or trains not at all, or nobody waits for the training. */
export default class Troubles extends FlowSpec {
  readonly how = parameter.enum(['die', 'leave', 'forget'], { default: 'die' })

  @step start() {
    this.next(this.train, { numParallel: 3 })
  }

  @tensorflow({ backend: 'wasm' })
  @step
  async train() {
    const training = this.how === 'leave' && current.parallel.nodeIndex === 1 ? undefined : train(2)
    if (this.how !== 'forget') await training
    this.next(this.join)
  }

  @step join(_: Inputs<Troubles>) {
    this.next(this.end)
  }

  @step end() {}
}
