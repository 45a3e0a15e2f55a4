// The flow to which the faults are done. MODE says where its gang waits for them; each member has a rank that escapes.
import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { current, FlowSpec, parallel, step } from '@gangflow/core'
import { defineStepDecorator, type GangContext } from '@gangflow/core/plugin'

const mode = process.env['MODE'] ?? 'body'
const say = (text: string) => console.log(`${text} ${process.pid}`)

const phases = defineStepDecorator({
  name: 'phases',
  apiVersion: 1,
  async setup() {
    if (mode !== 'setup') return
    say('READY')
    await sleep(600_000)
  },
  async teardown() {
    if (mode !== 'teardown') return
    say('READY')
    await sleep(600_000)
  },
})

export default class Faults extends FlowSpec {
  readonly size = Number(process.env['SIZE'] ?? 2)
  out = new Uint8Array()

  @step start() {
    this.next(this.multi, { numParallel: this.size })
  }

  @phases()
  @parallel()
  @step
  async multi() {
    const p = current.parallel as GangContext
    const node = p.nodeIndex
    const mark = join(tmpdir(), `escaped-${current.run}-${node}`)
    await p.atEnd({ remove: mark })
    const rank = await p.start([node], { name: 'rank', rank: node, argv: ['python3', 'escape.py', mark, 'wait'] })
    while (!existsSync(mark)) await sleep(20)
    console.log('ESCAPED', readFileSync(mark, 'utf8'))
    await p.barrier('all are up')
    if (mode !== 'teardown') say('READY')
    if (mode === 'body') {
      const [result] = await rank.ended
      throw new Error(`rank ${node} ended with ${result?.signal ?? result?.exitCode}`)
    }
    for (; mode === 'writes'; await sleep(20)) appendFileSync(mark, Buffer.alloc(256 << 10))
    if (mode.startsWith('work:')) {
      const until = performance.now() + Number(mode.slice(5)) * 1000
      // One clock decides, or one of them would call one more.
      for (let on = true; on; on = await p.broadcast(performance.now() < until)) await sleep(200)
      console.log('THROUGH')
      this.out = new Uint8Array(1 << 20).fill(node)
    }
    await rank.stop()
    this.next(this.join)
  }

  @step join(_inputs: unknown) {
    this.next(this.end)
  }

  @step end() {}
}
