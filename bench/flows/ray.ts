import { setTimeout as sleep } from 'node:timers/promises'
import { current, FlowSpec, type Inputs, parameter, step } from '@gangflow/core'
import { ray } from '@gangflow/plugin-ray'

/** Ray nodes on this machine, and nothing else; told to lose one, it waits for that. */
export default class Ray extends FlowSpec {
  readonly nodes = parameter.number({ default: 2 })
  readonly mode = parameter.string({ default: 'whole' })

  @step start() {
    this.next(this.form, { numParallel: this.nodes })
  }
  @ray({ cpus: 1, objectStoreMemory: 100_000_000 })
  @step
  async form() {
    console.log(`ready after ${current.ray.startedMs} in ${current.ray.tempDir}`)
    if (this.mode === 'lose') await sleep(300_000)
    this.next(this.join)
  }
  @step join(_inputs: Inputs<Ray>) {
    this.next(this.end)
  }
  @step end() {}
}
