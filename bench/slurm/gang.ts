import { FlowSpec, type Inputs, parallel, step } from '@gangflow/core'

/** When a step ends, and when the last of the four members after it begins. */
export default class Gang extends FlowSpec {
  before!: number
  took!: number

  @step start() {
    this.before = Date.now()
    this.next(this.together, { numParallel: 4 })
  }

  @parallel()
  @step
  together() {
    this.took = Date.now() - this.before
    this.next(this.join)
  }

  @step join(inputs: Inputs<Gang>) {
    console.log(`latency ${Math.max(...inputs.map(({ took }) => took))}`)
    this.next(this.end)
  }

  @step end() {}
}
