import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Client } from '../../../packages/core/src/index.js'
import { startHosts, type TestHosts } from '../../hosts/index.js'
import { slack, sleep, until } from '../../support/gang.js'
import { leftOn, onHosts, SshProject } from '../../support/ssh-project.js'

let hosts: TestHosts
let project: SshProject

beforeAll(async () => {
  hosts = await startHosts({ count: 4, hide: [process.execPath] })
  const flow = (size: number) => `
import { hostname } from 'node:os'
import { FlowSpec, step, current, parallel, type Inputs } from '@gangflow/core'
export default class Elastic extends FlowSpec {
  out!: unknown
  outs!: unknown[]
  @step start() { this.next(this.work, { numParallel: ${size} }) }
  @parallel({ minNodes: 2, maxRestarts: 2 }) @step async work() {
    const p = current.parallel
    this.out = await p.allGather(hostname())
    console.log('epoch', p.epoch, 'node', p.nodeIndex, 'on', hostname())
    if (p.epoch < 2) await new Promise((done) => setTimeout(done, 600_000))
    this.next(this.join)
  }
  @step join(inputs: Inputs<Elastic, 'work'>) { this.outs = inputs.map((one) => one.out); this.next(this.end) }
  @step end() {}
}`
  project = new SshProject({ 'elastic.ts': flow(3), 'four.ts': flow(4) })
})
afterAll(async () => {
  project?.remove()
  await hosts?.down()
})

const start = (names: readonly string[], file = 'elastic.ts') => project.start(['run', file, ...onHosts(hosts, names)])
const said = (text: string, epoch: number) => text.split('\n').filter((line) => line.includes(`epoch ${epoch} node`))

describe('a gang on hosts that may be formed again', () => {
  it('puts another agent on the same host, and the rest of its members at their places', async () => {
    const names = hosts.names.slice(0, 3)
    const run = start(names)
    await until(() => said(run.text(), 1).length === 3, 'epoch 1', 60_000 * slack)
    await hosts.host(names[0]!).must(['sh', '-c', "kill -9 $(pgrep -f '[a]gent.cjs')"])
    const { code, out } = await run.ended
    expect(code, out).toBe(0)
    expect(said(out, 2).length, out).toBe(3)
    const [run1] = await new Client(project.store).runs('Elastic')
    const epochs = await run1!.step('work').task().attempts().at(-1)!.epochs()
    expect(epochs.map(({ members }) => members)).toEqual([
      ['m0', 'm1', 'm2'],
      ['m0.1', 'm1', 'm2'],
    ])
    expect(epochs[1]!.lost![0]!.summary).toMatch(/the agent on node 0/)
    expect(await leftOn(hosts)).toEqual([])
  })

  it('takes a spare host for one that is cut off', async () => {
    const run = start(hosts.names)
    await until(() => said(run.text(), 1).length === 3, 'epoch 1', 60_000 * slack)
    // Until the members know each other's signs of life, one that is cut off has to wait for the launcher's.
    await sleep(3_000)
    const victim = hosts.host(hosts.names[1]!)
    await victim.cable('down')
    const { code, out } = await run.ended
    expect(code, out).toBe(0)
    expect(
      said(out, 2).some((line) => line.includes(hosts.names[3]!)),
      out,
    ).toBe(true)
    // Cut off from its gang, it has ended what ran on it.
    await expect.poll(() => leftOn(hosts), { timeout: 20_000 * slack, interval: 500 }).toEqual([])
  })

  it('goes on in one half of a network that breaks in two, and never in both', async () => {
    await hosts.heal()
    const run = start(hosts.names, 'four.ts')
    await until(() => said(run.text(), 1).length === 4, 'epoch 1', 60_000 * slack)
    await sleep(3_000)
    const [near, far] = [hosts.names.slice(0, 2), hosts.names.slice(2)]
    await hosts.partition(['launcher', ...near], far)
    const { code, out } = await run.ended
    expect(code, out).toBe(0)
    expect(
      said(out, 2)
        .map((line) => / on (.*)$/.exec(line)![1])
        .sort(),
      out,
    ).toEqual([...near].sort())
    await expect.poll(() => leftOn(hosts), { timeout: 20_000 * slack, interval: 500 }).toEqual([])
    const [last] = await new Client(project.store).runs('Elastic')
    const epochs = await last!.step('work').task().attempts().at(-1)!.epochs()
    expect(epochs.map(({ epoch, members }) => [epoch, members.length])).toEqual([
      [1, 4],
      [2, 2],
    ])
    expect(epochs[1]!.lost!.length).toBe(2)
    await hosts.heal()
  })
})
