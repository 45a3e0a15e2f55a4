import { appendFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { current, FlowSpec, type Inputs, parameter, step } from '@gangflow/core'

/** Some tasks of a tenth of a second, in a chain, in branches and in a foreach; each tells that it ran. */
export default class Marathon extends FlowSpec {
  readonly diary = parameter.string()
  items = [1, 2, 3, 4]
  lap = 0
  more!: 'yes' | 'no'
  value = 0

  @step async start() {
    await this.work()
    this.next(this.left, this.right)
  }

  @step async left() {
    await this.work()
    this.next(this.item, { foreach: 'items' })
  }

  @step async item(item: number) {
    await this.work()
    this.value = item * item
    this.next(this.sum)
  }

  @step async sum(inputs: Inputs<Marathon, 'item'>) {
    await this.work()
    this.value = inputs.reduce((total, input) => total + input.value, 0)
    this.next(this.meet)
  }

  @step async right() {
    await this.work()
    this.value = 100
    this.next(this.meet)
  }

  @step async meet(inputs: Inputs<Marathon, 'sum' | 'right'>) {
    await this.work()
    this.value = inputs.sum.value + inputs.right.value
    this.lap = 0
    this.next(this.turn)
  }

  @step async turn() {
    await this.work()
    this.lap += 1
    this.value *= 2
    this.more = this.lap < 3 ? 'yes' : 'no'
    this.next({ yes: this.turn, no: this.end }, { condition: 'more' })
  }

  @step end() {}

  private async work() {
    appendFileSync(this.diary, `${current.run} ${current.step}/${current.task}\n`)
    await pause(100)
  }
}
