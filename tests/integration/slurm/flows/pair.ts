import { current, FlowSpec, type Inputs, parallel, step } from '@gangflow/core'

/** A gang of two. */
export default class Pair extends FlowSpec {
  @step start() {
    this.next(this.both, { numParallel: 2 })
  }

  @parallel()
  @step
  async both() {
    const places = await current.parallel.allGather(process.env['SLURMD_NODENAME'])
    if (current.parallel.isControl) console.log(`members on ${places.join(' ')}`)
    this.next(this.end)
  }

  @step end(inputs: Inputs<Pair>) {
    console.log(inputs.length)
  }
}
