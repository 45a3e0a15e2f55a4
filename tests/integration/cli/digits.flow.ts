import { FlowSpec, type Inputs, parameter, step } from '@gangflow/core'

/** Adds up squares; fails in `check` while the file named by `gate` is missing. */
export default class Digits extends FlowSpec {
  readonly count = parameter.number({ default: 3, help: 'how many numbers' })
  readonly mode = parameter.enum(['sum', 'max'], { default: 'sum' })
  readonly gate = parameter.string({ default: '' })
  readonly nap = parameter.number({ default: 0, help: 'milliseconds that each square takes' })
  readonly useGPU = parameter.boolean({ default: false, help: 'says so at the end' })
  numbers!: number[]
  square!: number
  result!: number

  @step start() {
    this.numbers = Array.from({ length: this.count }, (_, index) => index + 1)
    console.log(`squaring ${this.numbers.join(', ')}`)
    this.next(this.squared, { foreach: 'numbers' })
  }

  @step async squared(number: number) {
    await new Promise((resolve) => setTimeout(resolve, this.nap))
    this.square = number * number
    this.next(this.join)
  }

  @step join(inputs: Inputs<Digits>) {
    const squares = inputs.map((input) => input.square)
    this.result = this.mode === 'sum' ? squares.reduce((a, b) => a + b, 0) : Math.max(...squares)
    this.next(this.check)
  }

  @step async check() {
    const { existsSync } = await import('node:fs')
    if (this.gate !== '' && !existsSync(this.gate)) throw new TypeError(`the gate ${this.gate} is shut`)
    this.next(this.end)
  }

  @step end() {
    console.error(`result ${this.result}${this.useGPU ? ' on a GPU' : ''}`)
  }
}
