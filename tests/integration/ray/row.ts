import { current, FlowSpec, type Inputs, retry, step } from '@gangflow/core'
import { ray } from '@gangflow/plugin-ray'
import { hangAndSignal } from './faults.js'

const losses = ['start', 'body', 'gcs_server']

/** A cluster of one node that loses something else in each attempt, straight after each other. */
export default class Row extends FlowSpec {
  @step start() {
    this.next(this.work, { numParallel: 1 })
  }

  @retry({ times: 2, delay: 0 })
  @ray()
  @step
  async work() {
    await hangAndSignal(losses[current.parallel.attempt]!, 'KILL', 0)
    this.next(this.join)
  }

  @step join(_inputs: Inputs<Row, 'work'>) {
    this.next(this.end)
  }

  @step end() {}
}
