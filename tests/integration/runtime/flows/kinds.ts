import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { FlowSpec, parallel, parameter, retry, step, timeout } from '@gangflow/core'

/** Ends its attempts as the parameter says, one kind after the other, then well: `user,preempted`. */
export default class Kinds extends FlowSpec {
  readonly ends = parameter.string()
  readonly where = parameter.enum(['plain', 'tried', 'gang'])
  readonly diary = parameter.string()

  @step start() {
    this.next({ plain: this.plain, tried: this.tried, gang: this.split }, { condition: 'where' })
  }

  @timeout('4s')
  @step
  async plain() {
    await this.go()
    this.next(this.end)
  }

  @retry({ times: 1, user: 0, preempted: 2, delay: '10ms' })
  @timeout('4s')
  @step
  async tried() {
    await this.go()
    this.next(this.end)
  }

  @step split() {
    this.next(this.gang, { numParallel: 2 })
  }

  @parallel()
  @timeout('4s')
  @step
  async gang() {
    await this.go()
    this.next(this.join)
  }

  @step join(_inputs: unknown) {
    this.next(this.end)
  }

  @step end() {}

  private async go(): Promise<void> {
    const kinds = this.ends.split(',')
    const turn = this.turn()
    const kind = kinds[turn]
    console.log(`attempt ${turn}: ${kind ?? 'well'}`)
    if (kind === 'user') throw new TypeError('wrong')
    if (kind === 'infrastructure') process.kill(process.pid, 'SIGKILL')
    if (kind === 'preempted') {
      process.removeAllListeners('SIGTERM')
      process.kill(process.pid, 'SIGTERM')
    }
    if (kind !== undefined && kind !== '') await new Promise((resolve) => setTimeout(resolve, 600_000))
  }

  /** How many have been there before: each, of two members at once too, leaves a folder of its own. */
  private turn(): number {
    mkdirSync(this.diary, { recursive: true })
    for (let turn = readdirSync(this.diary).length; ; turn++) {
      try {
        mkdirSync(join(this.diary, String(turn)))
        return turn
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      }
    }
  }
}
