import { describe, expect, it } from 'vitest'
import { shapeOf } from '../../src/collectives/check.js'
import { Arena, makeMemory, ownGround } from '../../src/collectives/memory.js'

describe('what a call is given', () => {
  it('must be less than 2 GiB, all ranks together where they are gathered', () => {
    const half = new Uint8Array(2 ** 30)
    expect(shapeOf('broadcast', half, 2, {})).toMatchObject({ kind: 'uint8', length: 2 ** 30 })
    expect(() => shapeOf('allGather', half, 2, {})).toThrow(/works on 2147483648 bytes/)
    expect(() => shapeOf('allReduce', new Float64Array(2 ** 28), 2, {})).toThrow(/split the array/)
  })

  it.each([[[1, 2]], [null], ['text'], [new BigInt64Array(1)], [new DataView(new ArrayBuffer(8))]])(
    '%s is refused by name',
    (given) => {
      expect(() => shapeOf('allReduce', given as never, 2, {})).toThrow(
        expect.objectContaining({ code: 'E_TF_VALUES', what: expect.stringContaining('allReduce was given') }),
      )
    },
  )
})

describe('the shared memory', () => {
  it('grows, knows its own arrays and their parts, and takes places back', () => {
    const arena = new Arena(makeMemory(1000), ownGround(1000))
    const first = arena.take(100)
    expect(first % 64).toBe(0)
    expect(first).toBeGreaterThanOrEqual(1000)
    const large = arena.array('float32', arena.take(4_000_000), 1_000_000).fill(1)
    expect(arena.placeOf(large.subarray(10))).toBe(large.byteOffset + 40)
    const early = arena.array('int32', first, 25)
    arena.take(40_000_000)
    expect(arena.placeOf(early)).toBe(first)
    expect(arena.placeOf(new Int32Array(4))).toBeUndefined()
    expect(arena.give(large.byteOffset)).toBe(true)
    expect(arena.give(large.byteOffset)).toBe(false)
    expect(arena.take(3_000_000)).toBe(large.byteOffset)
  })

  it('says so when there is no more', () => {
    const arena = new Arena(makeMemory(0), ownGround(0))
    expect(() => arena.take(2 ** 33)).toThrow(expect.objectContaining({ code: 'E_TF_MEMORY' }))
    expect(arena.take(64)).toBe(0)
  })
})
