import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { current, FlowSpec, type Inputs, parallel, parameter, step } from '@gangflow/core'

/** A foreach, then a gang; every body takes a while, and leaves a mark for each time that it began. */
export default class Slow extends FlowSpec {
  /** Where the marks go. */
  marks = parameter.string({ required: true })
  /** That a task takes. */
  seconds = parameter.number({ default: 1 })
  /** Whether the gang's second member fails. */
  fails = parameter.boolean({ default: false })
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
    if (this.fails && current.parallel.nodeIndex === 1) throw new Error('as it was asked to')
    await current.parallel.barrier()
    this.next(this.end)
  }

  @step end(inputs: Inputs<Slow>) {
    console.log(`the sum is ${inputs[0]!.sum}`)
  }

  private async leave(name: string) {
    console.log(`${name} began`)
    appendFileSync(join(this.marks, 'began'), `${name}\n`)
    await pause(this.seconds * 1_000)
  }
}
