import { existsSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { current, FlowSpec, type Inputs, parallel, parameter, step } from '@gangflow/core'

/** A gang whose members wait while the step before it waits for a file. */
export default class Ahead extends FlowSpec {
  readonly go = parameter.string()
  readonly fails = parameter.boolean({ default: false })
  pid!: number
  pids!: number[]

  @step async start() {
    while (!existsSync(this.go)) await pause(20)
    if (this.fails) throw new Error('no gang today')
    this.next(this.many, { numParallel: 2 })
  }

  @parallel()
  @step
  async many() {
    await current.parallel.barrier()
    this.pid = process.pid
    this.next(this.join)
  }

  @step join(inputs: Inputs<Ahead, 'many'>) {
    this.pids = inputs.map(({ pid }) => pid)
    this.next(this.end)
  }

  @step end() {}
}
