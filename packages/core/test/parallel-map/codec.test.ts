import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { buffersOfPacked, isCloned, pack, unpack } from '../../src/parallel-map/codec.js'

/** There and back, as between threads. */
const travelled = (values: readonly unknown[]): readonly unknown[] => {
  const packed = pack(values)
  return unpack(structuredClone(packed, { transfer: buffersOfPacked(packed) }))
}

const leaf = fc.oneof(fc.double(), fc.string(), fc.boolean(), fc.constant(null), fc.constant(undefined), fc.bigInt())
const row = fc.oneof(
  fc.array(fc.double(), { maxLength: 40 }),
  fc.array(leaf, { maxLength: 40 }),
  fc.array(fc.string({ maxLength: 14, unit: 'binary' }), { maxLength: 40 }),
  fc.array(fc.tuple(fc.double(), fc.double(), fc.integer()), { maxLength: 40 }),
  fc.array(fc.record({ id: fc.integer(), name: fc.string(), at: fc.tuple(fc.double(), fc.double()) }), {
    maxLength: 40,
  }),
  fc.array(fc.record({ id: fc.integer(), maybe: leaf }, { requiredKeys: ['id'] }), { maxLength: 40 }),
  fc.array(fc.dictionary(fc.string(), leaf), { maxLength: 40 }),
  fc.array(fc.float64Array({ maxLength: 5 }), { maxLength: 20 }),
  fc.array(fc.array(leaf, { maxLength: 3 }), { maxLength: 40 }),
)

describe('how rows of values travel', () => {
  it('changes nothing, whatever they are', () => {
    fc.assert(
      fc.property(row, (values) => {
        const given = structuredClone(values)
        const back = travelled(values)
        expect(back).toStrictEqual(given)
        // Key order too.
        expect(back.map((each) => typeof each === 'object' && each !== null && Object.keys(each))).toEqual(
          given.map((each) => typeof each === 'object' && each !== null && Object.keys(each)),
        )
      }),
      { numRuns: 500 },
    )
  })

  it('packs what is alike, and takes only that part of a buffer that a view shows', () => {
    const rows = Array.from({ length: 20 }, (_, id) => ({ id, at: [id, 1], 'odd "key"': `${id}` }))
    expect([pack([1, 2]).k, pack(rows.map(({ id }) => id)).k, pack([undefined, undefined]).k, pack(rows).k]).toEqual([
      'values',
      'numbers',
      'none',
      'columns',
    ])
    expect(pack(rows.map(({ at }) => at)).k).toBe('vectors')
    const names = rows.map(({ id }) => `name ${id}`)
    expect([pack(names).k, pack([...names, 'one that is longer']).k]).toEqual(['texts', 'values'])
    const mixed = rows.map((row) => ({ ...row, more: null }))
    expect([isCloned(pack(rows)), isCloned(pack(mixed)), isCloned(pack([{}]))]).toEqual([false, true, true])
    const part = new Float64Array(1000).subarray(3, 5)
    const [view] = travelled([part]) as [Float64Array]
    expect([view.length, view.buffer.byteLength]).toEqual([2, 16])
    const large = new Float64Array(10_000).fill(2)
    const records = Array.from({ length: 10 }, () => ({ large }))
    expect(travelled([large])).toEqual([large])
    expect(travelled(records)).toEqual(records)
    expect(large.length).toBe(10_000)
    const shared = new Int32Array(new SharedArrayBuffer(16), 4, 2)
    const [same] = travelled([shared]) as [Int32Array]
    same[0] = 7
    expect([shared[0], same.length]).toEqual([7, 2])
  })
})
