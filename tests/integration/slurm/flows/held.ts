import { current, FlowSpec, type Inputs, parallel, step } from '@gangflow/core'

/** A gang whose members wait for whatever is done to them. */
export default class Held extends FlowSpec {
  @step start() {
    this.next(this.wait, { numParallel: 3 })
  }

  @parallel()
  @step
  async wait() {
    await current.parallel.barrier()
    console.log(`node ${current.parallel.nodeIndex} waits, body ${process.pid}`)
    await new Promise((resolve) => setTimeout(resolve, 90_000))
    this.next(this.end)
  }

  @step end(inputs: Inputs<Held>) {
    console.log(inputs.length)
  }
}
