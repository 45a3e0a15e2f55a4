import { FlowSpec, type Inputs, parameter, step } from '@gangflow/core'
import { ray } from '@gangflow/plugin-ray'
import { hangAndSignal } from './faults.js'

/** A cluster with a driver that waits for ever, and one fault. */
export default class Fault extends FlowSpec {
  readonly members = parameter.number({ default: 2 })
  readonly kill = parameter.string({ default: '' })
  readonly signal = parameter.string({ default: 'KILL' })
  readonly node = parameter.number({ default: 1 })

  @step start() {
    this.next(this.work, { numParallel: this.members })
  }

  @ray()
  @step
  async work() {
    await hangAndSignal(this.kill, this.signal, this.node)
    this.next(this.join)
  }

  @step join(_inputs: Inputs<Fault, 'work'>) {
    this.next(this.end)
  }

  @step end() {}
}
