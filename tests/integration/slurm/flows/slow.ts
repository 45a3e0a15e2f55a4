import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { current, FlowSpec, type Inputs, parallel, parameter, step } from '@gangflow/core'

/** A foreach, then a gang, each of whose tasks leaves its mark where it ran twice, and takes a while. */
export default class Slow extends FlowSpec {
  /** Where the marks go. */
  marks = parameter.string({ required: true })
  /** That a task takes. */
  seconds = parameter.number({ default: 1 })
  items!: number[]
  sum!: number

  @step async start() {
    await this.leave('start')
    this.items = [1, 2, 3]
    this.next(this.each, { foreach: 'items' })
  }

  @step async each(item: number) {
    await this.leave(`each-${item}`)
    this.sum = item
    this.next(this.add)
  }

  @step add(inputs: Inputs<Slow>) {
    this.sum = inputs.reduce((sum, { sum: one }) => sum + one, 0)
    this.next(this.pair, { numParallel: 2 })
  }

  @parallel()
  @step
  async pair() {
    await this.leave(`pair-${current.parallel.nodeIndex}`)
    await current.parallel.barrier()
    this.next(this.end)
  }

  @step end(inputs: Inputs<Slow>) {
    console.log(`the sum is ${inputs[0]!.sum}`)
  }

  /** A task that is committed leaves `done`; none of it may begin again after that. */
  private async leave(name: string) {
    console.log(`${name} began`)
    for (let nth = 1; ; nth++) {
      if (existsSync(join(this.marks, `${name}.${nth}`))) continue
      writeFileSync(join(this.marks, `${name}.${nth}`), '')
      break
    }
    await pause(this.seconds * 1_000)
  }
}
