import { spawn } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { FlowSpec, type Inputs, parameter, step, timeout } from '@gangflow/core'

const forever = () => new Promise<never>(() => setInterval(() => {}, 1000))

/** A foreach of three of which the second does what `how` says, once the others run. */
export default class Faults extends FlowSpec {
  readonly how = parameter.enum(['throw', 'exit', 'kill', 'hang', 'block', 'stubborn', 'fixed'])
  /** A directory in which the items say that they run. */
  readonly signs = parameter.string()
  items = [0, 1, 2]
  seen!: number

  @step start() {
    this.next(this.item, { foreach: 'items' })
  }

  @timeout('1500ms')
  @step
  async item(item: number) {
    this.seen = item
    if (this.how !== 'fixed') await this.trouble(item)
    this.next(this.join)
  }

  private async trouble(item: number) {
    writeFileSync(`${this.signs}/${item}`, String(process.pid))
    if (item === 1) await this.misbehave()
    if (this.how === 'stubborn') process.on('SIGTERM', () => writeFileSync(`${this.signs}/term${item}`, ''))
    await forever()
  }

  private async misbehave() {
    while (!existsSync(`${this.signs}/0`)) await new Promise((resolve) => setTimeout(resolve, 10))
    if (this.how === 'throw') throw new RangeError('item 1 is out of range')
    if (this.how === 'exit') process.exit(7)
    if (this.how === 'kill') process.kill(process.pid, 'SIGKILL')
    if (this.how === 'block') for (;;);
    // A child of its own, which nobody ends but the keeper.
    spawn('sleep', ['1000'], { detached: true, stdio: 'ignore' }).unref()
  }

  @step join(inputs: Inputs<Faults, 'item'>) {
    this.seen = inputs.length
    this.next(this.end)
  }

  @step end() {}
}
