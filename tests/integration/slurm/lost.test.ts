import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Cluster, startCluster, until } from '../../slurm/cluster.js'
import { loseNode } from '../../slurm/lose-node.js'
import { slack } from '../../support/gang.js'

const cli = new URL('../../../packages/core/dist/cli.cjs', import.meta.url).pathname
const flow = new URL('flows/held.ts', import.meta.url).pathname

let cluster: Cluster
let store: string

beforeAll(async () => {
  cluster = await startCluster({ nodes: 11, cpus: 1 })
  store = mkdtempSync(join(tmpdir(), 'gangflow-lost-'))
})

afterAll(async () => {
  await cluster?.down()
  rmSync(store, { recursive: true, force: true, maxRetries: 10 })
})

interface Held {
  readonly child: ChildProcess
  readonly ended: Promise<{ readonly code: number | null; readonly text: string }>
  /** The node of each member, in their order. */
  readonly nodes: () => Promise<string[]>
  text(): string
}

/** A gang of three that waits for what is done to it, on none of these nodes. */
function held(exclude: string): Held {
  const argv = [cli, 'run', flow, '--backend', 'slurm', '--datastore', join(store, exclude)]
  const child = spawn(process.execPath, [...argv, '--backend-option', `exclude=${exclude}`], {
    env: cluster.env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let text = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (more: string) => (text += more))
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, text }))
  const nodes = async () => {
    await until(
      `all members in:\n${text}`,
      () => text.match(/node \d waits/g)?.length === 3 || child.exitCode !== null,
      60_000 * slack,
    )
    const list = /its job \d+ runs on (lab\[\S+\])/.exec(text)?.[1]
    return (await cluster.run('scontrol', 'show', 'hostnames', list ?? '')).split('\n')
  }
  return { child, ended, nodes, text: () => text }
}

it(
  'goes on where nodes are left, else says what was lost: owners of gangs, and the daemon alone of a member',
  async () => {
    // Two have one node more than they need; the third's job may not go back.
    const runs = [held('lab[4-10]'), held('lab[0-3,8-10]'), held('lab[0-7]')]
    const [[owner], [, member], [last]] = (await Promise.all(runs.map(({ nodes }) => nodes()))) as [
      string[],
      string[],
      string[],
    ]
    const job = (await cluster.run('squeue', '-h', `--nodelist=${last}`, '-o', '%A')).trim()
    await cluster.run('scontrol', 'update', `JobId=${job}`, 'Requeue=0')
    loseNode(cluster, owner!)
    loseNode(cluster, last!)
    // What runs there lives on, and nobody may believe it.
    process.kill(cluster.pid(`slurmd-${member}`)!, 'SIGKILL')
    const [first, second, third] = await Promise.all(runs.map(({ ended }) => ended))
    for (const { code, text } of [first!, second!]) {
      expect(text).toContain('its job was put back into the queue (start 2)')
      expect(text).toMatch(/after epoch 1 comes epoch [23]/)
      expect(code).toBe(0)
    }
    expect(third!.text).toMatch(/infrastructure job \d+ of step 'wait' lost a node \(NODE_FAIL\)/)
    expect(third!.code).toBe(3)
    await cluster.startNode(member!)
    await until('an empty queue', async () => (await cluster.run('squeue', '-h')) === '', 20_000 * slack)
    await until('the end of its processes', () => ofRuns().length === 0, 20_000 * slack)
  },
  180_000 * slack,
)

const ofRuns = (): string[] =>
  readdirSync('/proc').filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(store)
    } catch {
      return false
    }
  })
