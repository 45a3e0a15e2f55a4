import { afterEach, describe, expect, it } from 'vitest'
import { Client } from '../../../packages/core/src/index.js'
import { type HostsOptions, startHosts, type TestHosts } from '../../hosts/index.js'
import { must } from '../../hosts/run.js'
import { leftOn, onHosts, SshProject } from '../../support/ssh-project.js'

let hosts: TestHosts | undefined
let project: SshProject | undefined

const flow = (size: number) => `
import { FlowSpec, step, current, parallel, type Inputs } from '@gangflow/core'
export default class Ways extends FlowSpec {
  out!: unknown
  roster!: unknown
  @step start() { this.next(this.work, { numParallel: ${size} }) }
  @parallel() @step async work() {
    const p = current.parallel
    const [env] = await p.exec([p.nodeIndex], ['sh', '-c', 'echo $GANGFLOW_INTERFACE $GANGFLOW_MAIN_IP'])
    this.out = { ip: p.mainIp, said: env!.stdout.trim(), sum: (await p.allGather(p.nodeIndex)).length, roster: p.roster.entries }
    this.next(this.join)
  }
  @step join(inputs: Inputs<Ways, 'work'>) { this.out = inputs.map((one) => one.out); this.next(this.end) }
  @step end() {}
}`

afterEach(async () => {
  project?.remove()
  project = undefined
  await hosts?.down()
  hosts = undefined
})

async function make(options: HostsOptions): Promise<TestHosts> {
  hosts = await startHosts(options)
  project = new SshProject({ 'flow.ts': flow(options.count) })
  return hosts
}

interface Out {
  ip: string
  said: string
  sum: number
  roster: { addresses: string[]; interface?: string }[]
}

/** One run on all hosts that must end well: what each node saw. */
async function outs(set: TestHosts): Promise<Out[]> {
  const { code, out } = await project!.start(['run', 'flow.ts', ...onHosts(set)]).ended
  expect(code, out).toBe(0)
  const run = new Client(project!.store).run(`Ways/${/Ways\/(\d+) done/.exec(out)![1]}`)
  return run.artifacts['out'] as Out[]
}

/** A bridge to nowhere with the same address on every host, as docker makes it, under a name that tells nothing. */
const bridge = [
  'ip link add lan9 type bridge',
  'ip link add lan9a type veth peer name lan9b',
  'ip link set lan9a master lan9 up',
  'ip link set lan9b up',
  'ip addr add 172.17.0.1/16 dev lan9',
  'ip link set lan9 up',
].join(' && ')

/** A second network between two hosts: a cable of their own. */
async function secondCable(set: TestHosts): Promise<void> {
  const [one, two] = set.hosts.map(({ state }) => state.init.pid)
  await must([
    'nsenter',
    '-t',
    String(one),
    '-n',
    'ip',
    'link',
    'add',
    'eth1',
    'type',
    'veth',
    'peer',
    'name',
    'eth1',
    'netns',
    String(two),
  ])
  for (const [index, host] of set.hosts.entries())
    await host.must(['sh', '-c', `ip addr add 10.98.7.${index + 1}/24 dev eth1 && ip link set eth1 up`])
}

describe('the addresses at which members reach each other', () => {
  it('are not those of a bridge that every host has alike, nor of a name that means the loopback', async () => {
    const set = await make({ count: 3 })
    for (const host of set.hosts)
      await host.must([
        'sh',
        '-c',
        `${bridge} && echo "127.0.1.1 ${host.name}" > /etc/hosts.new && cat /etc/hosts >> /etc/hosts.new && cat /etc/hosts.new > /etc/hosts`,
      ])
    const [first] = await outs(set)
    expect(first!.roster.map(({ addresses }) => addresses[0])).toEqual(set.hosts.map(({ address }) => address))
    expect(first!.roster.map((one) => one.interface)).toEqual(['eth0', 'eth0', 'eth0'])
    expect(first!.roster[0]!.addresses).toContain('172.17.0.1')
    expect(first).toMatchObject({ sum: 3, ip: set.hosts[0]!.address, said: `eth0 ${set.hosts[0]!.address}` })
  }, 120_000)

  it('are of IPv6 where there is nothing else', async () => {
    const set = await make({ count: 2, network: 'ipv6' })
    const [, second] = await outs(set)
    expect(second!.ip).toBe(set.hosts[0]!.address)
    expect(second!.ip).toContain(':')
    expect(second).toMatchObject({ sum: 2, said: `eth0 ${set.hosts[0]!.address}` })
  }, 120_000)

  it('are those of the network that works, where the one by which the launcher comes is cut between them', async () => {
    const set = await make({ count: 2 })
    await secondCable(set)
    await set.partition(['host1'], ['host2'])
    for (const { ip, sum, roster } of await outs(set)) {
      expect({ ip, sum }).toEqual({ ip: '10.98.7.1', sum: 2 })
      expect(roster.map((one) => one.interface)).toEqual(['eth1', 'eth1'])
    }
  }, 120_000)

  it('fail the attempt before any body starts where there are none, with who, from whom and what was tried', async () => {
    const set = await make({ count: 3 })
    await set.partition(['host3'], ['host1', 'host2'])
    const { code, out } = await project!.start(['run', 'flow.ts', ...onHosts(set)]).ended
    expect(code, out).toBe(3)
    const { address } = set.host('host3')
    expect(out).toContain('node 2 (host3) cannot be reached by nodes 0 and 1')
    expect(out).toMatch(new RegExp(`${address} \\(no (?:host )?answers?`))
    expect(out).not.toContain('setup')
    expect(await leftOn(set)).toEqual([])
  }, 120_000)
})
