import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { Peer, WithPayload } from '../../src/body/peer.js'
import { bringRoster } from '../../src/gang/agent/bring-roster.js'
import { Relay, type Rising, type RisingPart } from '../../src/gang/agent/relay.js'
import { packFormation } from '../../src/gang/formation.js'
import { challenge } from '../../src/gang/handshake.js'
import type { Formation } from '../../src/gang/protocol.js'
import { unixTransport } from '../../src/gang/transport/unix.js'
import { childrenOf, fanOutOf, parentOf, toldByOwner, weightOf } from '../../src/gang/tree.js'

const key = new Uint8Array(32)
const formation = { epoch: 3, roster: { epoch: 3, control: 'm0', entries: [] }, listens: {} } as Formation

function transport() {
  const folder = mkdtempSync(join(tmpdir(), 'gf-tree-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return unixTransport(folder)
}

describe('the tree', () => {
  it('has each node below one other, and none in small gangs', () => {
    expect(fanOutOf(64)).toBeUndefined()
    expect(fanOutOf(65)).toBe(32)
    for (let node = 1; node < 2_000; node += 1) expect(childrenOf(parentOf(node, 32), 2_000, 32)).toContain(node)
    expect(weightOf(0, 2_000, 32)).toBe(2_000)
  })

  it('is told from the top, and below those who are lost', () => {
    const nodes = Array.from({ length: 15 }, (_, node) => node)
    expect(nodes.filter(toldByOwner(15, 2))).toEqual([0, 1, 2])
    expect(nodes.filter(toldByOwner(15, 2, [1, 3]))).toEqual([0, 1, 2, 3, 4, 7, 8])
    expect(nodes.filter(toldByOwner(15, undefined))).toEqual(nodes)
  })
})

describe('a roster', () => {
  const bring = async (
    way: ReturnType<typeof transport>,
    parent: string,
    asked: number[],
  ): Promise<Awaited<ReturnType<typeof bringRoster>>> => {
    const packed = await packFormation(formation)
    return bringRoster({ epoch: 3, parent }, new Uint8Array(0), {
      transport: way,
      key,
      memberId: 'm5',
      leaseMs: 300,
      ask: async (epoch) => {
        asked.push(epoch)
        return packed
      },
    })
  }

  it('comes from the parent, and is handed on as it came', async () => {
    const way = transport()
    const parent = await way.listen('parent')
    onTestFinished(() => parent.close())
    const packed = await packFormation(formation)
    void (async () => {
      for await (const { stream } of parent) {
        const hello = await challenge(stream, key, () => undefined, AbortSignal.timeout(5_000))
        expect(hello).toEqual({ member: 'm5', purpose: 'roster', epoch: 3 })
        stream.end(packed)
      }
    })()
    const asked: number[] = []
    expect(Buffer.from((await bring(way, parent.address, asked)).packed)).toEqual(Buffer.from(packed))
    expect(asked).toEqual([])
  })

  it('comes from the owner where the parent has gone, says nothing, or speaks of another epoch', async () => {
    const way = transport()
    const [silent, stale] = [await way.listen('silent'), await way.listen('stale')]
    onTestFinished(async () => void (await Promise.all([silent.close(), stale.close()])))
    void (async () => {
      for await (const { stream } of stale) {
        await challenge(stream, key, () => undefined, AbortSignal.timeout(5_000))
        stream.end(await packFormation({ ...formation, epoch: 2 }))
      }
    })()
    const asked: number[] = []
    for (const parent of [silent.address, stale.address, `${silent.address}.gone`])
      expect((await bring(way, parent, asked)).formation).toEqual(formation)
    expect(asked).toEqual([3, 3, 3])
  })
})

describe('a relay', () => {
  const part = (node: number): RisingPart => ({
    node,
    seq: 1,
    op: 'allGather',
    name: '',
    head: node,
    bytes: new Uint8Array([node]),
    timeoutMs: null,
  })

  /** A peer that takes what rises, over a real socket. */
  async function above(name: string, take: (nodes: number[], wants: boolean) => Promise<WithPayload> | undefined) {
    const way = transport()
    const listener = await way.listen(name)
    onTestFinished(() => listener.close())
    const streams: { destroy(): void }[] = []
    void (async () => {
      for await (const { stream } of listener) {
        streams.push(stream)
        new Peer(stream, {
          name: 'below',
          methods: {
            rise: (params) => {
              const { parts, wants } = params as unknown as Rising
              return take(
                parts.map(({ node }) => node),
                wants,
              )
            },
          },
        })
      }
    })()
    const { stream } = await way.connect(listener.address, { signal: AbortSignal.timeout(5_000) })
    const peer = new Peer(stream, { name })
    return { peer: async () => peer, cut: () => streams.map((one) => one.destroy()) }
  }

  it('sends what comes together in one message, later parts after it, and gives all the same outcome', async () => {
    const rose: { nodes: number[]; wants: boolean }[] = []
    let settle = (_: WithPayload) => {}
    const outcome = new Promise<WithPayload>((resolve) => {
      settle = resolve
    })
    const parent = await above('parent', (nodes, wants) => {
      rose.push({ nodes, wants })
      return wants ? outcome : undefined
    })
    const relay = new Relay({ weight: 4, parent: parent.peer, control: parent.peer })
    const first = [relay.take([part(3)]), relay.take([part(7), part(8)])]
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect(rose).toEqual([{ nodes: [3, 7, 8], wants: true }])
    const last = relay.take([part(9)])
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect(rose[1]).toEqual({ nodes: [9], wants: false })
    settle(new WithPayload(new Uint8Array([1, 2]), 'all'))
    for (const one of await Promise.all([...first, last])) expect(one.result).toBe('all')
  })

  it('takes everything to the control when its parent is lost', async () => {
    const parent = await above('parent', () => new Promise(() => {}))
    const rose: number[][] = []
    const control = await above('control', async (nodes) => {
      rose.push(nodes)
      return new WithPayload(new Uint8Array(0), 'met')
    })
    const relay = new Relay({ weight: 3, parent: parent.peer, control: control.peer })
    const waiting = [relay.take([part(3)]), relay.take([part(7)])]
    await new Promise((resolve) => setTimeout(resolve, 200))
    parent.cut()
    expect((await Promise.all(waiting)).map(({ result }) => result)).toEqual(['met', 'met'])
    expect(rose).toEqual([[3, 7]])
  })
})
