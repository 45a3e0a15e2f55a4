import { current, FlowSpec, type Inputs, parallel, step } from '@gangflow/core'

/** A gang whose members wait for whatever is done to them; started again it ends at once. */
export default class Held extends FlowSpec {
  @step start() {
    this.next(this.wait, { numParallel: 3 })
  }

  @parallel()
  @step
  async wait() {
    const before = await current.parallel.checkpoint.load<number>('epoch')
    await current.parallel.barrier()
    if (current.parallel.isControl) await current.parallel.checkpoint.save('epoch', current.parallel.epoch)
    await current.parallel.barrier()
    if (before !== undefined) console.log(`after epoch ${before} comes epoch ${current.parallel.epoch}`)
    console.log(`node ${current.parallel.nodeIndex} waits, body ${process.pid}`)
    await new Promise((resolve) => setTimeout(resolve, before === undefined ? 90_000 : 0))
    this.next(this.end)
  }

  @step end(inputs: Inputs<Held>) {
    console.log(inputs.length)
  }
}
