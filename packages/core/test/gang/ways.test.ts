import { describe, expect, it } from 'vitest'
import { packFormation, unpackFormation } from '../../src/gang/formation.js'
import { apart } from '../../src/gang/owner/apart.js'
import type { OwnedGang } from '../../src/gang/owner/gang.js'
import type { TriedAddress } from '../../src/gang/protocol.js'
import { withAddresses } from '../../src/gang/transport/ssh.js'
import { type Reachable, Ways, withoutCommon } from '../../src/gang/ways.js'

const good = (address: string, local = ''): TriedAddress => ({ address, local })
const bad = (address: string, why = 'no answer'): TriedAddress => ({ address, why })
const member = (memberId: string, links: Record<string, string>): Reachable => ({
  memberId,
  host: `host-${memberId}`,
  links,
  addresses: Object.keys(links),
})

describe('what members find out about each other', () => {
  it('puts the address first that most of them reached', () => {
    const ways = new Ways()
    ways.add('a', [{ memberId: 'c', tried: [bad('10.0.0.3'), good('192.168.0.3')] }])
    ways.add('b', [{ memberId: 'c', tried: [good('10.0.0.3'), good('192.168.0.3')] }])
    const c = member('c', { '10.0.0.3': 'eth0', '192.168.0.3': 'eth1' })
    expect(ways.order(c)).toEqual(['192.168.0.3', '10.0.0.3'])
    expect(ways.link(c)).toBe('eth1')
    expect(ways.gaps()).toEqual([])
    expect(ways.contested()).toEqual([])
  })

  it('asks again where no address has served all, or some had none', () => {
    const ways = new Ways()
    ways.add('a', [
      { memberId: 'b', tried: [good('10.0.0.2')] },
      { memberId: 'c', tried: [good('10.0.0.3')] },
    ])
    ways.add('b', [{ memberId: 'c', tried: [good('192.168.0.3')] }])
    ways.add('c', [{ memberId: 'b', tried: [bad('10.0.0.2')] }])
    expect(ways.contested()).toEqual(['b', 'c'])
    expect(ways.callers('c')).toEqual(['a', 'b'])
    expect(ways.gaps()).toEqual([{ from: 'c', to: 'b', tried: [bad('10.0.0.2')] }])
    ways.add('c', [{ memberId: 'b', tried: [good('10.0.0.2')] }])
    expect(ways.gaps()).toEqual([])
  })

  it('knows the interface of a member behind NAT by the way that it went out', () => {
    const ways = new Ways()
    ways.add('b', [{ memberId: 'a', tried: [good('198.51.100.1', '10.0.0.2')] }])
    ways.add('a', [{ memberId: 'b', tried: [good('198.51.100.2', '10.0.0.1')] }])
    const a = { ...member('a', { '10.0.0.1': 'ens5' }), addresses: ['198.51.100.1', '10.0.0.1'] }
    expect(ways.order(a)[0]).toBe('198.51.100.1')
    expect(ways.link(a)).toBe('ens5')
  })

  it('puts last what different hosts have alike, and nothing where they are one host', () => {
    const one = member('a', { '172.17.0.1': 'br7', '10.0.0.1': 'eth0' })
    const two = member('b', { '172.17.0.1': 'br7', '10.0.0.2': 'eth0' })
    expect(withoutCommon([one, two]).map(({ addresses }) => addresses[0])).toEqual(['10.0.0.1', '10.0.0.2'])
    const same = { ...one, memberId: 'c' }
    expect(withoutCommon([one, same])).toEqual([one, same])
  })

  it('orders the places of an address in the mesh', () => {
    const address = 'ssh://m1@10.0.0.1:40,[fd00::1]:40,192.168.0.1:40'
    expect(withAddresses(address, ['fd00::1', '192.168.0.1'])).toBe('ssh://m1@[fd00::1]:40,192.168.0.1:40,10.0.0.1:40')
    expect(withAddresses('/run/agent.sock', [])).toBe('/run/agent.sock')
  })
})

describe('a formation', () => {
  it('travels packed, small however many they are', async () => {
    const entries = Array.from({ length: 2_000 }, (_, node) => ({
      node,
      memberId: `m${node}`,
      host: `host-${node}.cluster.example.org`,
      addresses: [`10.0.${node >> 8}.${node & 255}`],
      slots: 8,
      gpus: ['0', '1', '2', '3'],
    }))
    const listens = Object.fromEntries(
      entries.map((one) => [one.memberId, `ssh://${one.memberId}@${one.addresses[0]}:4321`]),
    )
    const formation = { epoch: 3, roster: { epoch: 3, control: 'm0', entries }, listens }
    const packed = await packFormation(formation)
    expect(packed.length).toBeLessThan(JSON.stringify(formation).length / 6)
    expect(await unpackFormation(packed)).toEqual(formation)
  })
})

describe('members that are apart', () => {
  const gang = {
    members: new Map(['a', 'b', 'c', 'd'].map((memberId, node) => [memberId, { memberId, node, host: `host${node}` }])),
  } as unknown as OwnedGang
  const tried = [bad('10.0.0.3'), bad('172.17.0.1', 'it shows the key of another host or gang')]

  it('are told by who is in most of it, from whom, and what was tried', () => {
    const gaps = ['a', 'b', 'd'].map((from) => ({ from, to: 'c', tried }))
    const [failure, , node] = apart(gang, [...gaps, { from: 'c', to: 'a', tried }])
    expect(node).toBe(2)
    expect(failure).toMatchObject({
      code: 'E_GANG_APART',
      cause: 'infrastructure',
      weight: 'own',
      casualty: { kind: 'member', node: 2, memberId: 'c', host: 'host2' },
      summary:
        'node 2 (host2) cannot be reached by nodes 0, 1 and 3: 10.0.0.3 (no answer), 172.17.0.1 (it shows the key of another host or gang)',
    })
  })

  it('are told by who reaches nobody', () => {
    const [failure] = apart(
      gang,
      ['a', 'b'].map((to) => ({ from: 'd', to, tried: [bad(`10.0.0.${to}`)] })),
    )
    expect(failure.summary).toBe(
      'node 3 (host3) cannot reach nodes 0 and 1: 10.0.0.a of node 0 (no answer), 10.0.0.b of node 1 (no answer)',
    )
  })

  it('leave the word to whoever saw a member die', () => {
    const refused = [{ address: '10.0.0.3', why: 'nobody listens there', refused: true }]
    expect(apart(gang, [{ from: 'a', to: 'c', tried: refused }])[0].weight).toBe('echo')
  })
})
