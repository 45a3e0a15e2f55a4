import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Client } from '../../../packages/core/src/index.js'
import { startHosts, type TestHosts } from '../../hosts/index.js'
import { slack, until } from '../../support/gang.js'
import { leftOn, onHosts, SshProject } from '../../support/ssh-project.js'

let hosts: TestHosts
let project: SshProject

const flow = (size: number, body: string) => `
import { hostname } from 'node:os'
import { readFileSync } from 'node:fs'
import { FlowSpec, step, current, parallel, type Inputs } from '@gangflow/core'
import { shout } from './lib/shout'
export default class Hosted extends FlowSpec {
  given!: Uint8Array
  out!: unknown
  outs!: unknown[]
  @step start() { this.given = new Uint8Array(3_000_000).fill(7); this.next(this.work, { numParallel: ${size} }) }
  @parallel() @step async work() {
    const p = current.parallel as any
    const node = p.nodeIndex
    ${body}
    this.next(this.join)
  }
  @step join(inputs: Inputs<Hosted, 'work'>) { this.outs = inputs.map((one) => one.out); this.next(this.end) }
  @step end() {}
}`

beforeAll(async () => {
  hosts = await startHosts({ count: 4, hide: [process.execPath] })
  project = new SshProject({
    'lib/shout.ts': 'export const shout = (text: string) => text.toUpperCase()',
    'data.txt': 'beside the flow',
    'good.ts': flow(
      4,
      `const names = await p.allGather(hostname())
    console.log(shout('node ' + node + ' on ' + hostname()))
    const file = readFileSync('data.txt', 'utf8')
    const there = node === 0 ? await p.exec('all', ['sh', '-c', 'hostname; id -un']) : []
    this.out = { names, file, sum: this.given.reduce((a, b) => a + b, 0), there, ip: p.roster.entries[node].addresses[0] }`,
    ),
    'bad.ts': flow(
      4,
      `if (node === 2) { console.error('the cause is here'); throw new TypeError('bad batch') }
    await p.barrier()`,
    ),
    'long.ts': flow(
      4,
      `await p.barrier()
    console.log('all begin')
    await p.exec([node], ['sh', '-c', '(setsid env -i sleep 4321 &) ; exec sleep 4321'])`,
    ),
    'five.ts': flow(5, ''),
  })
})
afterAll(async () => {
  project?.remove()
  await hosts?.down()
})

const store = () => new Client(project.store)

describe('gangflow run --hosts', () => {
  it('runs on four hosts that have neither Node, nor the code, nor a shared disk', async () => {
    const home = () =>
      hosts.host('host2').must(['sh', '-c', 'cd /home/gf && find . -path ./.cache -prune -o -type f -exec md5sum {} +'])
    const before = await home()
    const { code, out } = await project.start(['run', 'good.ts', ...onHosts(hosts)]).ended
    expect(code, out).toBe(0)
    const run = store().run(`Hosted/${/Hosted\/(\d+) done/.exec(out)![1]}`)
    const outs = run.artifacts['outs'] as { names: string[]; file: string; sum: number; there: unknown[]; ip: string }[]
    expect(outs.map(({ ip }) => ip)).toEqual(hosts.hosts.map(({ address }) => address))
    for (const one of outs) expect(one).toMatchObject({ names: hosts.names, file: 'beside the flow', sum: 21_000_000 })
    expect(outs[0]!.there).toMatchObject(hosts.names.map((name) => ({ exitCode: 0, stdout: `${name}\ngf\n` })))
    for (const [node, name] of hosts.names.entries()) {
      const lines: string[] = []
      for await (const { text } of run.task('work').logs({ node })) lines.push(text)
      expect(lines.join('\n')).toContain(`NODE ${node} ON ${name.toUpperCase()}`)
    }
    expect(await leftOn(hosts)).toEqual([])
    expect(await home()).toBe(before)
  }, 240_000)

  it('sends nothing a second time', async () => {
    const { code, out } = await project.start(['run', 'good.ts', ...onHosts(hosts)]).ended
    expect(code, out).toBe(0)
    expect(out.match(/has the code \(all of it there already\)/g)).toHaveLength(4)
  })

  it('lets two runs at once on the same hosts not notice each other', async () => {
    const both = await Promise.all(
      [1, 2].map(
        () => project.start(['run', 'good.ts', ...onHosts(hosts, ['host1', 'host2', 'host1', 'host2'])]).ended,
      ),
    )
    for (const { code, out } of both) expect(code, out).toBe(0)
    expect(await leftOn(hosts)).toEqual([])
  })

  it('names the host, the node and the last lines of what failed', async () => {
    const { code, out } = await project.start(['run', 'bad.ts', ...onHosts(hosts)]).ended
    expect(code).toBe(1)
    expect(out).toMatch(/node 2 \(host3\)/)
    expect(out).toContain('bad batch')
    expect(out).toContain('the cause is here')
    expect(await leftOn(hosts)).toEqual([])
  })

  it('refuses five members on four hosts', async () => {
    const { code, out } = await project.start(['run', 'five.ts', ...onHosts(hosts)]).ended
    expect(code).toBe(2)
    expect(out).toContain('asks for 5 members, and 4 hosts are given')
  })

  it('says with --dry-run what would run on each host, and starts nothing', async () => {
    const { code, out } = await project.start(['run', 'good.ts', '--dry-run', ...onHosts(hosts)]).ended
    expect(code, out).toBe(0)
    for (const name of hosts.names) expect(out).toMatch(new RegExp(`ssh.*-T.*${name}`, 's'))
    expect(await leftOn(hosts)).toEqual([])
  })
})

describe('an end from outside leaves nothing on any host', () => {
  const running = async () => {
    const run = project.start(['run', 'long.ts', ...onHosts(hosts)])
    await until(() => (run.text().match(/all begin/g)?.length ?? 0) === 4, 'four bodies to begin', 60_000)
    await until(
      async () => (await leftOn(hosts)).filter((line) => line.includes('sleep 4321')).length === 8,
      'what they start',
    )
    return run
  }

  it('Ctrl-C', async () => {
    const run = await running()
    run.child.kill('SIGINT')
    expect((await run.ended).code).toBe(130)
    expect(await leftOn(hosts)).toEqual([])
  }, 120_000)

  it('kill -9 of the launcher', async () => {
    const run = await running()
    run.child.kill('SIGKILL')
    await run.ended
    await until(
      async () => !(await leftOn(hosts)).some((line) => line.includes('sleep 4321')),
      'user processes to end',
      6_000 * slack,
    )
    await until(async () => (await leftOn(hosts)).length === 0, 'the agents to end', 40_000 * slack)
  }, 200_000)

  it('the death of a whole host, which the verdict names', async () => {
    const run = await running()
    process.kill(hosts.host('host4').state.init.pid, 'SIGKILL')
    const { code, out } = await run.ended
    expect(code).toBe(3)
    expect(out).toMatch(/node 3 \(host4\)/)
    expect(await leftOn(hosts, hosts.names.slice(0, 3))).toEqual([])
  }, 200_000)
})
