import { describe, expect, it } from 'vitest'
import { Collectives, nodes, type Part } from '../../src/gang/agent/collectives.js'
import { KeyValueStore } from '../../src/gang/agent/key-value.js'

const never = new AbortController().signal
const part = (node: number, seq: number, extra: Partial<Part> = {}): Part => ({
  node,
  seq,
  op: 'allGather',
  name: '',
  head: node * 10,
  bytes: new Uint8Array([node]),
  timeoutMs: 5_000,
  ...extra,
})

describe('Collectives', () => {
  it('gives everyone everything in node order', async () => {
    const gang = new Collectives(3)
    const all = await Promise.all([2, 0, 1].map((node) => gang.take(part(node, 1), never)))
    for (const values of all) expect(values.map(({ head }) => head)).toEqual([0, 10, 20])
  })

  it('broadcasts the value of the one who has it', async () => {
    const gang = new Collectives(2)
    const all = await Promise.all([0, 1].map((node) => gang.take(part(node, 1, { op: 'broadcast', from: 1 }), never)))
    expect(all.map(([value]) => value!.head)).toEqual([10, 10])
  })

  it('lets a fast member be ahead of the others', async () => {
    const gang = new Collectives(2)
    const first = gang.take(part(0, 1), never)
    const second = gang.take(part(1, 1), never)
    const ahead = gang.take(part(0, 2), never)
    await Promise.all([first, second])
    expect((await Promise.all([ahead, gang.take(part(1, 2), never)])).length).toBe(2)
  })

  it('names both sides when the members call different things', async () => {
    const gang = new Collectives(3)
    const waiting = gang.take(part(0, 1, { op: 'barrier', name: 'epoch' }), never)
    const other = gang.take(part(2, 1), never)
    const message = /their 1st collective: node 0 called barrier\("epoch"\), node 2 called allGather\(\)/
    await expect(waiting).rejects.toThrowError(message)
    await expect(other).rejects.toThrowError(message)
    await expect(gang.take(part(1, 1), never)).rejects.toThrowError(message)
  })

  it('names a member whose step ended without the call, before and after', async () => {
    const gang = new Collectives(2)
    const waiting = gang.take(part(0, 3), never)
    gang.leave(1, 2)
    await expect(waiting).rejects.toThrowError(/as its 3rd collective, but the step of node 1 ended without calling it/)
    await expect(gang.take(part(0, 4), never)).rejects.toThrowError(/node 1 ended/)
  })

  it('names whom it waited for, and tells the same to who comes later', async () => {
    const gang = new Collectives(4)
    const waiting = [0, 2].map((node) => gang.take(part(node, 1, { timeoutMs: 50 }), never))
    const message = /waited 50 ms for nodes 1 and 3; nodes 0 and 2 had called it/
    for (const one of waiting) await expect(one).rejects.toThrowError(message)
    await expect(gang.take(part(1, 1), never)).rejects.toThrowError(message)
  })
})

describe('nodes', () => {
  it.each([
    [[], 'nobody'],
    [[3], 'node 3'],
    [[1, 2, 5], 'nodes 1, 2 and 5'],
    [Array.from({ length: 20 }, (_, i) => i), 'nodes 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 10 more'],
  ])('%j', (list, text) => expect(nodes(list)).toBe(text))
})

describe('KeyValueStore', () => {
  it('waits until somebody sets the key', async () => {
    const store = new KeyValueStore()
    const waiting = store.get('port', 5_000, never)
    store.set('port', 4711)
    expect(await waiting).toBe(4711)
    expect(await store.get('port', 5_000, never)).toBe(4711)
    expect(store.peek('other')).toBeUndefined()
  })

  it('says what is set when nobody sets the key', async () => {
    const store = new KeyValueStore()
    store.set('prot', 1)
    await expect(store.get('port', 20, never)).rejects.toThrowError(
      /nobody set the key "port" within 20 ms; set are "prot"/,
    )
  })
})
