import { createServer } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { judgePairs } from '../../../src/backend/doctor/pairs.js'
import { listen, reach } from '../../../src/backend/doctor/reach.js'
import { judgeTried } from '../../../src/backend/doctor/try-pairs.js'
import { pairsAmong } from '../../../src/discovery/pairs.js'

describe('which pairs are tried', () => {
  it('are all of up to 64 hosts', () => {
    expect(pairsAmong(1)).toEqual([[]])
    expect(pairsAmong(3)).toEqual([
      [1, 2],
      [0, 2],
      [0, 1],
    ])
    expect(pairsAmong(64).every((peers, from) => peers.length === 63 && !peers.includes(from))).toBe(true)
  })

  it.each([65, 200, 2000])('are a ring and the same sample each time of %i', (count) => {
    const pairs = pairsAmong(count)
    expect(pairsAmong(count)).toEqual(pairs)
    for (const [from, peers] of pairs.entries()) {
      expect(peers).toContain((from + 1) % count)
      expect(new Set(peers).size).toBe(6)
      expect(peers).not.toContain(from)
    }
  })
})

it('what a plugin tried between two hosts is told together, and what failed with its pairs and its fix', () => {
  const ok = { status: 'ok', found: 'one world' } as const
  const bad = { status: 'fail', found: 'no world', fix: 'mend it' } as const
  const tried = [
    { from: 'a', to: 'b', outcome: ok },
    { from: 'a', to: 'c', outcome: bad },
    { from: 'b', to: 'c', outcome: bad },
    { from: 'a', to: 'd', outcome: undefined },
  ]
  expect(judgeTried('x pairs', tried)).toEqual([
    { check: 'x pairs', status: 'ok', found: '1 of 4: one world' },
    { check: 'x pairs', status: 'fail', found: 'a → c, b → c: no world', fix: 'mend it' },
    { check: 'x pairs', status: 'fail', found: 'a → d: not tried in time', fix: 'give it longer: --timeout 10m' },
  ])
})

describe('what calls mean', () => {
  const way = (from: string, to: string, why?: string) => ({
    from,
    to,
    reached: why
      ? { name: to, tries: ['0', '1'].map((at) => ({ address: '10.0.0.9', port: Number(at), why })) }
      : { name: to, address: '10.0.0.9', ms: 1, tries: [] },
  })

  it('folds what every host says of one', () => {
    const found = judgePairs(
      [
        way('a', 'b'),
        way('b', 'a'),
        way('a', 'c', 'no answer'),
        way('b', 'c', 'no answer'),
        way('c', 'a'),
        way('c', 'b'),
      ],
      3,
    )
    expect(found.map(({ status, found }) => [status, found])).toEqual([
      ['ok', '4 of 6 connections among 3 hosts, each in 1.0 to 1.0 ms'],
      ['fail', 'every other host → c (10.0.0.9): no answer'],
    ])
    expect(found[1]!.fix).toMatch(/firewall/)
  })

  it.each(['refused', 'no route', 'another machine answered', 'large packets are lost', 'EPIPE'])(
    'has a fix for %s',
    (why) => {
      const [finding] = judgePairs([way('a', 'b', why)], 2)
      expect(finding).toMatchObject({ status: 'fail', found: `a → b (10.0.0.9): ${why}`, fix: expect.any(String) })
    },
  )

  it('tells a host that said nothing', () => {
    const [finding] = judgePairs([{ from: 'a', to: 'b', reached: undefined }], 2)
    expect(finding!.found).toBe('a → b: not tried in time')
  })
})

describe('a call', () => {
  it('reaches a listener by the first address that serves, on both ports', async () => {
    const ear = await listen()
    onTestFinished(() => ear.close())
    expect(ear.ports).toHaveLength(2)
    const reached = await reach({ name: 'x', ...ear, addresses: ['127.0.0.1'] }, 5_000)
    expect(reached).toMatchObject({ name: 'x', address: '127.0.0.1', tries: [] })
    const other = await reach({ name: 'x', ...ear, ports: [1], addresses: ['127.0.0.1'] }, 5_000)
    expect(other.tries).toEqual([{ address: '127.0.0.1', port: 1, why: 'refused' }])
    expect(other.address).toBeUndefined()
  })

  it('is not content with another machine, nor with the beginning alone', async () => {
    const ear = await listen()
    onTestFinished(() => ear.close())
    const wrong = await reach({ name: 'x', ports: ear.ports, token: 'f'.repeat(32), addresses: ['127.0.0.1'] }, 5_000)
    expect(wrong.tries[0]!.why).toBe('another machine answered')
    const token = '0'.repeat(32)
    const half = createServer((socket) => void socket.write(token)).listen(0)
    onTestFinished(() => void half.close())
    const { port } = half.address() as { port: number }
    const cut = await reach({ name: 'x', ports: [port], token, addresses: ['127.0.0.1'] }, 300)
    expect(cut.tries[0]!.why).toBe('large packets are lost')
  })
})
