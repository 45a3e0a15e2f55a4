import { describe, expect, it } from 'vitest'
import { pack, unpack } from '../../src/gang/context/values.js'

const there = (value: unknown) => {
  const { head, bytes } = pack(value, 'allGather')
  return unpack({ head: JSON.parse(JSON.stringify(head)), bytes: new Uint8Array(bytes) })
}

describe('values of collectives', () => {
  it.each([
    [null],
    [undefined],
    [true],
    ['text \u{1f600} \0'],
    [0.1 + 0.2],
    [Number.NaN],
    [Number.POSITIVE_INFINITY],
    [12345678901234567890n],
    [new Date(1700000000000)],
    [[1, [2, { a: [3] }]]],
    [['$', 'Uint8Array', 0, 4]],
    [[['$']]],
    [{ $: ['$'], '': null }],
    [Buffer.from('bytes')],
    [new Uint8Array([1, 2, 3]).buffer],
    [new Float64Array([1.5, -2.5, Number.NaN])],
    [
      {
        grad: new Float32Array([1, 2]),
        ids: new BigInt64Array([1n, -1n]),
        empty: new Uint8Array(0),
        n: [new Int16Array([7])],
      },
    ],
  ])('%o goes through', (value) => expect(there(value)).toEqual(value))

  it('keeps the sign of zero', () => expect(Object.is(there(-0), -0)).toBe(true))

  it('keeps the kind of bytes, cut from a larger buffer at an odd place', () => {
    const view = new Float32Array(new Float32Array([0, 1, 2, 3]).buffer, 4, 2)
    const got = there(['x', view]) as [string, Float32Array]
    expect(got[1]).toBeInstanceOf(Float32Array)
    expect([...got[1]]).toEqual([1, 2])
    expect(got[1].buffer.byteLength).toBe(8)
  })

  it('lets a key __proto__ be a key', () => {
    const value = JSON.parse('{"__proto__": {"polluted": true}}') as object
    const got = there(value) as object
    expect(Object.getOwnPropertyNames(got)).toEqual(['__proto__'])
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
  })

  it.each([
    [{ a: { b: [() => 1] } }, /value\.a\.b\[0\]: it is a function/],
    [new Map(), /an instance of Map/],
    [new (class Model {})(), /an instance of Model/],
    [Symbol('s'), /a symbol/],
  ])('refuses what it cannot send, by name', (value, message) => {
    expect(() => pack(value, 'broadcast')).toThrowError(message)
  })

  it('refuses a ring', () => {
    const ring: { self?: unknown } = {}
    ring.self = ring
    expect(() => pack(ring, 'broadcast')).toThrowError(/contains it/)
  })
})
