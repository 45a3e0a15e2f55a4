import { existsSync, writeFileSync } from 'node:fs'
import { current, FlowSpec, type Inputs, parameter, retry, step } from '@gangflow/core'

/** Elements that do what their word says: end, throw at their first attempt, or wait until a file is there. */
export default class Many extends FlowSpec {
  readonly words = parameter.string()
  readonly folder = parameter.string()
  list!: string[]

  @step start() {
    this.list = this.words.split(',')
    this.next(this.each, { foreach: 'list' })
  }

  @retry({ times: 1, delay: 0 })
  @step
  async each(word: string) {
    if (word === 'throw' && current.attempt === 0) throw new Error('the first attempt fails')
    if (word === 'hold') {
      writeFileSync(`${this.folder}/held-${current.task}`, `${process.pid} ${process.env['SLURMD_NODENAME']}`)
      while (!existsSync(`${this.folder}/go`)) await new Promise((resolve) => setTimeout(resolve, 100))
    }
    this.next(this.gather)
  }

  @step gather(inputs: Inputs<Many>) {
    console.log(`gathered ${inputs.length}`)
    this.next(this.end)
  }

  @step end() {}
}
