import { decode as decodeElsewhere } from 'cbor-x'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeArtifact, encodeArtifact } from '../../src/datastore/artifacts/artifact.js'
import { GangflowError } from '../../src/errors/base.js'

const bytesOf = async (value: unknown): Promise<Buffer> => {
  const { parts, size } = await encodeArtifact(value, { name: 'x' })
  const bytes = Buffer.concat(parts)
  expect(bytes.length).toBe(size)
  return bytes
}
const roundTrip = async (value: unknown): Promise<unknown> => decodeArtifact(await bytesOf(value))

const exact: readonly (readonly [string, unknown])[] = [
  ['undefined', undefined],
  ['null', null],
  ['minus zero', -0],
  ['NaN', Number.NaN],
  ['infinities', [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]],
  ['the limits of integers', [2 ** 53, -(2 ** 53), 2 ** 53 - 1, -(2 ** 53 - 1), 2 ** 32, 2 ** 32 - 1, 255, 256, 65536]],
  ['the limits of floats', [Number.MIN_VALUE, Number.MAX_VALUE, Number.EPSILON, 0.1]],
  ['bigints', [0n, -1n, 1n, 2n ** 64n, -(2n ** 200n), BigInt(Number.MAX_SAFE_INTEGER)]],
  ['text', ['', 'ü', '😀', 'a\0b', 'x'.repeat(70_000)]],
  ['text with lone surrogates', ['\ud800', 'a\udfffb', '\udc00\ud800', { '\ud812': 1 }]],
  ['a date', new Date(1_700_000_000_123)],
  ['dates at the ends', [new Date(8.64e15), new Date(-8.64e15), new Date(8.64e15 - 1), new Date(0), new Date(-1)]],
  ['a Buffer', Buffer.from('bytes')],
  [
    'a Map with keys of many types',
    new Map<unknown, unknown>([
      [1, 'a'],
      ['1', 'b'],
      [{ k: 1 }, new Map()],
      [null, undefined],
    ]),
  ],
  ['a Set', new Set([1, '1', [2], Number.NaN])],
  ['a regular expression', /a(b)\/[c]/giu],
  ['a URL', new URL('https://example.org/a?b=c#d')],
  ['holes', Object.assign(new Array(6), { 1: 1, 3: undefined })],
  ['an array with further properties', 'abc'.match(/b/)],
  ['an object without prototype', Object.assign(Object.create(null), { a: 1 })],
  ['an own __proto__', JSON.parse('{"__proto__": {"a": 1}, "b": 2}')],
  ['an ArrayBuffer', new Uint8Array([1, 2, 3]).buffer],
  ['a DataView', new DataView(new Uint8Array([1, 2, 3]).buffer, 1)],
  ['undefined properties', { a: undefined, b: [undefined] }],
  ['Uint8Array', new Uint8Array([0, 255])],
  ['Uint8ClampedArray', new Uint8ClampedArray([0, 255])],
  ['Int8Array', new Int8Array([-128, 127])],
  ['Uint16Array', new Uint16Array([0, 65535])],
  ['Int16Array', new Int16Array([-32768, 32767])],
  ['Uint32Array', new Uint32Array([0, 2 ** 32 - 1])],
  ['Int32Array', new Int32Array([-(2 ** 31), 2 ** 31 - 1])],
  ['BigUint64Array', new BigUint64Array([0n, 2n ** 64n - 1n])],
  ['BigInt64Array', new BigInt64Array([-(2n ** 63n), 2n ** 63n - 1n])],
  ['Float32Array', new Float32Array([-0, 1.5, Number.NaN, Number.POSITIVE_INFINITY])],
  ['Float64Array', new Float64Array([-0, Math.PI, Number.NaN])],
  ['an empty typed array', new Float64Array(0)],
  ['a part of a larger buffer', new Float64Array(new ArrayBuffer(80), 16, 3)],
]

describe('an artifact', () => {
  it.each(exact)('comes back exactly: %s', async (_, value) => {
    const back = await roundTrip(value)
    expect(back).toStrictEqual(value)
    if (typeof value === 'object' && value !== null) {
      expect(Object.getPrototypeOf(back)).toBe(Object.getPrototypeOf(value))
      expect(Object.keys(back as object)).toEqual(Object.keys(value))
    } else {
      expect(Object.is(back, value)).toBe(true)
    }
  })

  it('comes back exactly whatever it is made of', async () => {
    const anything = fc.anything({
      withBigInt: true,
      withDate: true,
      withMap: true,
      withSet: true,
      withTypedArray: true,
      withSparseArray: true,
      withNullPrototype: true,
      withUnicodeString: true,
      maxDepth: 5,
    })
    await fc.assert(
      fc.asyncProperty(anything, async (value) => {
        const bytes = await bytesOf(value)
        const back = decodeArtifact(bytes)
        expect(back).toStrictEqual(value)
        // What is read and stored again untouched has the same bytes, hence the same hash.
        expect((await bytesOf(back)).equals(bytes)).toBe(true)
      }),
      { numRuns: 300 },
    )
  })

  it('keeps identity within it, and cycles', async () => {
    const shared = { a: [1] }
    const root: Record<string, unknown> = { one: shared, two: shared, list: [shared.a] }
    root['self'] = root
    const map = new Map<unknown, unknown>()
    map.set('map', map).set('set', new Set([map]))
    root['map'] = map
    const data = new Float64Array([1, 2])
    root['typed'] = [data, data]
    const back = (await roundTrip(root)) as typeof root & { list: unknown[]; typed: unknown[] }
    expect(back['one']).toBe(back['two'])
    expect(back.list[0]).toBe((back['one'] as typeof shared).a)
    expect(back['self']).toBe(back)
    const backMap = back['map'] as Map<string, unknown>
    expect(backMap.get('map')).toBe(backMap)
    expect((backMap.get('set') as Set<unknown>).has(backMap)).toBe(true)
    expect(back.typed[0]).toBe(back.typed[1])
    expect(back.typed[0]).toEqual(data)
  })

  it('keeps errors with class, message, stack, cause and properties', async () => {
    class Custom extends TypeError {
      override name = 'Custom'
      extra = { code: 7 }
    }
    const error = new Custom('no', { cause: new RangeError('deeper') })
    const back = (await roundTrip(error)) as Custom
    expect(back).toBeInstanceOf(TypeError)
    expect([back.name, back.message, back.stack, back.extra]).toEqual(['Custom', 'no', error.stack, { code: 7 }])
    expect(back.cause).toBeInstanceOf(RangeError)
    const many = (await roundTrip(new AggregateError([new Error('a'), 'b'], 'all'))) as AggregateError
    expect([many.message, (many.errors[0] as Error).message, many.errors[1]]).toEqual(['all', 'a', 'b'])
    const self = new Error('self')
    self.cause = self
    const selfBack = (await roundTrip(self)) as Error
    expect(selfBack.cause).toBe(selfBack)
    const named = new GangflowError({ code: 'E_DURATION', what: 'w', fix: 'f', step: 's' }, { cause: 1 })
    const namedBack = (await roundTrip(named)) as GangflowError
    expect(GangflowError.is(namedBack)).toBe(true)
    expect(namedBack.toJSON()).toEqual(named.toJSON())
  })

  it('is read by another CBOR library', async () => {
    const value = {
      n: 1.5,
      list: [1, -2, 'x', true, null],
      when: new Date(1_700_000_000_123),
      set: new Set([1, 2]),
      map: new Map([['a', 1]]),
      doubles: new Float64Array([1.5, -2]),
      ints: new Int32Array([-7]),
      big: 2n ** 70n,
      raw: Buffer.from([1, 2]),
    }
    const read = decodeElsewhere(await bytesOf(value))
    expect(read).toEqual({ ...value, raw: expect.anything() })
    expect([...read.raw]).toEqual([1, 2])
  })

  it('may be a Float16Array, where Node has it', async () => {
    const bytes = Buffer.from([0xd8, 84, 0x44, 0x00, 0x3c, 0x00, 0xc0])
    const { Float16Array } = globalThis as { Float16Array?: new (values: number[]) => ArrayBufferView }
    if (Float16Array === undefined) {
      expect(() => decodeArtifact(bytes)).toThrow(expect.objectContaining({ code: 'E_ARTIFACT_CODEC' }))
    } else {
      expect(decodeArtifact(bytes)).toEqual(new Float16Array([1, -2]))
      expect((await bytesOf(new Float16Array([1, -2]))).equals(bytes)).toBe(true)
    }
  })

  it('is turned round where another machine wrote it the other way', () => {
    const bigEndian = Buffer.from([0xd8, 82, 0x48, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0])
    expect(decodeArtifact(bigEndian)).toEqual(new Float64Array([1.5]))
    expect(decodeArtifact(Buffer.from([0xd8, 73, 0x42, 0xff, 0xfe]))).toEqual(new Int16Array([-2]))
  })

  it('refuses bytes that are none', async () => {
    const bytes = await bytesOf({ a: [1, 2, new Float64Array(100)], b: 'text' })
    for (let cut = 0; cut < bytes.length; cut += 7) expect(() => decodeArtifact(bytes.subarray(0, cut))).toThrow()
    expect(() => decodeArtifact(Buffer.concat([bytes, Buffer.from([0])]))).toThrow()
    // A length that nothing can hold does not allocate.
    expect(() => decodeArtifact(Buffer.from([0x5b, 0, 0, 0xff, 0xff, 0, 0, 0, 0]))).toThrow(RangeError)
    expect(() => decodeArtifact(Buffer.from([0x9b, 0, 0, 0xff, 0xff, 0, 0, 0, 0]))).toThrow(RangeError)
  })

  it('survives deep nesting up to its limit, and names what is deeper', async () => {
    const nest = (levels: number): unknown => {
      let value: unknown = 'end'
      for (let level = 0; level < levels; level++) value = { next: value }
      return value
    }
    let back = await roundTrip(nest(990))
    for (let level = 0; level < 990; level++) back = (back as { next: unknown }).next
    expect(back).toBe('end')
    await expect(roundTrip(nest(100_000))).rejects.toMatchObject({ code: 'E_ARTIFACT_UNSUPPORTED' })
  })
})
