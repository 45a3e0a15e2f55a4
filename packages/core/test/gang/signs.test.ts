import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { until } from '../../../../tests/support/gang.js'
import { Pulses } from '../../src/gang/agent/pulses.js'
import type { OwnedGang } from '../../src/gang/owner/gang.js'
import type { OwnedMember } from '../../src/gang/owner/members.js'
import { vouch } from '../../src/gang/owner/vouch.js'

const LEASE = 400
/** Nodes 1 and 2 below the control, 3 and 4 below 1, 5 and 6 below 2, 7 and 8 below 3. */
const size = 9

/** The signs of life of all nodes, over sockets; the owner answers nobody, as only its age is told. */
async function tree() {
  const folder = mkdtempSync(join(tmpdir(), 'gf-signs-'))
  const path = join(folder, 's')
  const nodes: Pulses[] = []
  const claims: number[] = Array.from({ length: size }, () => 0)
  const server = createServer((socket) => {
    socket.once('data', (hello: Buffer) => {
      const [to, from] = [hello[0]!, hello[1]!]
      if (hello.length > 2) socket.unshift(hello.subarray(2))
      nodes[to]!.accept(from, socket)
    })
  })
  await new Promise<void>((resolve) => server.listen(path, resolve))
  for (let node = 0; node < size; node += 1) {
    nodes.push(
      new Pulses({
        node,
        size,
        fanOut: 2,
        tree: true,
        leaseMs: LEASE,
        dial: async (to) => {
          const stream: Socket = connect(path)
          stream.write(Buffer.from([to, node]))
          return { peer: String(to), stream, close: () => stream.destroy() }
        },
        ownerAgeMs: () => (node === 0 ? 0 : performance.now() - claims[node]!),
        claimed: (at) => {
          claims[node] = at
        },
        heard: () => {},
        stop: () => {},
      }),
    )
  }
  /** Who says nothing any more. */
  const frozen = new Set<number>()
  const timer = setInterval(() => {
    for (const [node, pulses] of nodes.entries()) if (!frozen.has(node)) pulses.beat()
  }, LEASE / 5)
  onTestFinished(() => {
    clearInterval(timer)
    for (const pulses of nodes) pulses.close()
    server.close()
    rmSync(folder, { recursive: true, force: true })
  })
  await until(() => nodes[0]!.late()!.length === 0, 'all to be heard by way of others')
  return { nodes, frozen, claims }
}

describe('signs of life in a tree', () => {
  it('go to the owner from the top alone, and come down to all', async () => {
    const { nodes, claims } = await tree()
    expect(nodes.map((pulses) => pulses.upward() === undefined)).toEqual([true, true, true, ...Array(6).fill(false)])
    const now = performance.now()
    nodes[0]!.pass()
    await until(() => claims.slice(1).every((at) => at > now - 50), 'the word to be at the last')
  })

  it('name who is late, and since when, to those above; of those below it they say nothing', async () => {
    const { nodes, frozen } = await tree()
    const since = performance.now()
    frozen.add(3)
    await until(() => nodes[0]!.late()!.length > 0, 'node 3 to be missed')
    const [[node, silence]] = nodes[0]!.late()! as [[number, number]]
    expect(node).toBe(3)
    // As old as it is: not younger for the way, and a beat older at most.
    expect(Math.abs(performance.now() - silence - since)).toBeLessThan(LEASE / 2)
    const members = Array.from({ length: size }, (_, at) => ({ node: at, vouched: 1 }) as OwnedMember)
    const gang = { fanOut: 2, forming: false, members: { size }, at: (at: number) => members[at] }
    vouch(gang as unknown as OwnedGang, members[0]!, nodes[0]!.late()!)
    const fresh = members.filter(({ vouched }) => performance.now() - vouched < 50).map(({ node }) => node)
    expect(fresh).toEqual([1, 2, 4, 5, 6])
    expect(members.filter(({ vouched }) => vouched === 1).map(({ node }) => node)).toEqual([0, 7, 8])
  })
})
