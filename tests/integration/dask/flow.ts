import { existsSync } from 'node:fs'
import { createConnection } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { current, FlowSpec, type Inputs, parameter, retry, step } from '@gangflow/core'
import { dask } from '@gangflow/plugin-dask'

/** Its first attempt loses a part of the cluster, as asked; the second groups a frame that no worker could hold. */
export default class OnDask extends FlowSpec {
  /** `scheduler`, or `worker` on the last node. */
  readonly kill = parameter.string({ default: 'worker' })
  readonly folder = parameter.string({ default: '' })
  out!: Record<string, unknown>

  @step start() {
    this.next(this.work, { numParallel: 2 })
  }

  @retry({ times: 1, delay: 0 })
  @dask({ memoryLimit: '500MB' })
  @step
  async work() {
    if (current.parallel.attempt === 0 || this.folder === '') await this.lose()
    const { stdout } = await current.dask.run({ entrypoint: 'group_by.py', args: [this.folder] })
    this.out = { said: stdout, plain: await answerToPlainText(current.dask.address) }
    this.next(this.join)
  }

  @step join(inputs: Inputs<OnDask, 'work'>) {
    this.out = inputs.control.out
    this.next(this.end)
  }

  @step end() {}

  private async lose() {
    const client = current.dask.run({ entrypoint: 'hang.py', args: ['node1'] })
    client.catch(() => {})
    for (let turn = 0; !existsSync('hangs'); turn++) {
      if (turn > 1200) throw new Error('the client has not begun')
      await Promise.race([sleep(100), client])
    }
    const node = this.kill === 'scheduler' ? 0 : 1
    const script = `for p in /proc/[0-9]*; do
  tr '\\0' ' ' 2>/dev/null < $p/cmdline | grep -q -- '-m dask ${this.kill} ' || continue
  tr '\\0' '\\n' 2>/dev/null < $p/environ | grep -qx "GANGFLOW_RUN=$GANGFLOW_RUN" || continue
  tr '\\0' '\\n' < $p/environ | grep -qx "GANGFLOW_NODE=${node}" && kill -9 \${p#/proc/} && echo sent
done`
    const [sent] = await current.parallel.exec([node], ['sh', '-c', script])
    if (!sent?.stdout.includes('sent')) throw new Error(`there was no ${this.kill} on node ${node}: ${sent?.stderr}`)
    await client
  }
}

/** What the scheduler sends to who speaks no TLS: an alert (21), or nothing before it hangs up. */
function answerToPlainText(address: string): Promise<string> {
  const { hostname, port } = new URL(address.replace('tls:', 'http:'))
  return new Promise((resolve) => {
    let first = 'nothing'
    const socket = createConnection(Number(port), hostname, () => socket.write(Buffer.alloc(64)))
    socket.on('data', (data) => {
      first = String(data[0])
    })
    socket.on('error', () => {})
    socket.on('close', () => resolve(first))
  })
}
