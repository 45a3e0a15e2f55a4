import { existsSync, rmSync } from 'node:fs'
import { createConnection } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { current, FlowSpec, type Inputs, parameter, retry, step } from '@gangflow/core'
import { dask } from '@gangflow/plugin-dask'

/** Each attempt has one of the faults that are asked for; the one after them groups a frame that no worker could hold. */
export default class OnDask extends FlowSpec {
  /** `worker KILL 1`: that signal to the worker of that node; `memory`: a task that takes too much; `hang`: whatever comes. */
  readonly faults = parameter.string({ default: '' })
  readonly folder = parameter.string({ default: '' })
  /** Only asks every worker who it is. */
  readonly least = parameter.boolean({ default: false })
  out!: Record<string, unknown>

  @step start() {
    this.next(this.work, { numParallel: 2 })
  }

  @retry({ times: 3, delay: 0 })
  @dask({ memoryLimit: '500MB' })
  @step
  async work() {
    const fault = this.faults.split(',')[current.parallel.attempt]
    if (fault) await lose(fault.split(' '))
    const { stdout } = await current.dask.run(
      this.least ? { entrypoint: 'nodes.py' } : { entrypoint: 'group_by.py', args: [this.folder] },
    )
    const [seen] = await current.parallel.exec([1], ['sh', '-c', listening])
    const [here] = await current.parallel.exec([0], ['sh', '-c', listening])
    this.out = { said: stdout, plain: await answersToPlainText([here!, seen!]) }
    this.next(this.join)
  }

  @step join(inputs: Inputs<OnDask, 'work'>) {
    this.out = inputs.control.out
    this.next(this.end)
  }

  @step end() {}
}

async function lose([what, signal, node]: readonly string[]) {
  rmSync('hangs', { force: true })
  const client = current.dask.run({ entrypoint: what === 'memory' ? 'memory.py' : 'hang.py', args: ['node1'] })
  client.catch(() => {})
  for (let turn = 0; !existsSync('hangs'); turn++) {
    if (turn > 1200) throw new Error('the client has not begun')
    await Promise.race([sleep(100), client])
  }
  console.log(`the client of attempt ${current.parallel.attempt} hangs`)
  if (signal !== undefined) {
    const script = `for p in $(grep -lzx "GANGFLOW_NODE=${node}" /proc/[0-9]*/environ 2>/dev/null); do
  p=\${p%/environ}
  tr '\\0' '\\n' 2>/dev/null < $p/environ | grep -qx "GANGFLOW_RUN=$GANGFLOW_RUN" || continue
  tr '\\0' ' ' < $p/cmdline | grep -q -- '-m dask ${what} ' && kill -${signal} \${p#/proc/} && echo sent
done`
    const [sent] = await current.parallel.exec([Number(node)], ['sh', '-c', script])
    if (!sent?.stdout.includes('sent')) throw new Error(`there was no ${what} on node ${node}: ${sent?.stderr}`)
  }
  await client
}

/** `ADDRESS:PORT` in the kernel's hexadecimal form of all that Dask's processes of this node listen on. */
const listening = `for p in $(grep -lzx "GANGFLOW_NODE=$GANGFLOW_NODE" /proc/[0-9]*/environ 2>/dev/null); do
  p=\${p%/environ}
  tr '\\0' '\\n' 2>/dev/null < $p/environ | grep -qx "GANGFLOW_RUN=$GANGFLOW_RUN" || continue
  tr '\\0' ' ' < $p/cmdline | grep -q -- '-m dask ' || continue
  for link in $p/fd/*; do
    inode=$(readlink $link); inode=\${inode#socket:[}; inode=\${inode%]}
    awk -v inode="$inode" '$4 == "0A" && $10 == inode { print $2 }' $p/net/tcp $p/net/tcp6
  done
done`

/** By port, what each listener that is not on loopback sends to who speaks no TLS: an alert (21), or nothing before it hangs up. */
async function answersToPlainText(ends: readonly { readonly stdout: string }[]): Promise<Record<string, string>> {
  const answers: Record<string, string> = {}
  for (const [node, { stdout }] of ends.entries())
    for (const [address, port] of stdout
      .trim()
      .split('\n')
      .map((line) => line.split(':') as [string, string]))
      if (!/^0100007F$|^0{24}01000000$/.test(address))
        answers[`${node} ${port}`] = await answer(
          current.parallel.roster.entries[node]!.addresses[0]!,
          Number.parseInt(port, 16),
        )
  return answers
}

function answer(host: string, port: number): Promise<string> {
  return new Promise((resolve) => {
    let first = 'nothing'
    const socket = createConnection(port, host, () => socket.write(Buffer.alloc(64)))
    socket.on('data', (data) => {
      first = String(data[0])
    })
    socket.on('error', () => {})
    socket.on('close', () => resolve(first))
  })
}
