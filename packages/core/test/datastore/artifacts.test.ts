import { readdirSync } from 'node:fs'
import { createServer } from 'node:net'
import { describe, expect, it } from 'vitest'
import { joinTables } from '../../src/datastore/artifacts/join.js'
import { sameArtifact, saveArtifacts, saveValues } from '../../src/datastore/artifacts/save.js'
import { artifactSource, readArtifact } from '../../src/datastore/artifacts/source.js'
import type { Datastore } from '../../src/datastore/contract.js'
import { openDatastoreSync } from '../../src/datastore/open.js'
import type { ArtifactTable } from '../../src/datastore/records.js'
import type { ArtifactCodec } from '../../src/flow/values.js'
import { tempDirectory } from './helpers.js'

const open = (): Datastore => openDatastoreSync(tempDirectory(), { sync: false })
const save = (
  store: Datastore,
  values: Record<string, unknown>,
  inherited: ArtifactTable = {},
  codecs?: ArtifactCodec[],
) =>
  saveArtifacts(
    store,
    Object.entries(values).map(([name, value]) => ({ name, state: 'value', value })),
    inherited,
    { step: 'fit', ...(codecs ? { codecs } : {}) },
  )
const blobs = async (store: Datastore): Promise<number> => {
  let count = 0
  for await (const _ of store.listBlobs()) count++
  return count
}

describe('saveArtifacts', () => {
  it('packs small values into one blob and reads them lazily, one by one', async () => {
    const store = open()
    const values = Object.fromEntries(Array.from({ length: 10 }, (_, n) => [`n${n}`, n * 1.5]))
    const table = await save(store, values)
    expect(await blobs(store)).toBe(1)
    const source = artifactSource(store, table, { step: 'fit' })
    expect(source.names()).toEqual(Object.keys(values))
    for (const [name, value] of Object.entries(values)) expect(source.read(name)).toBe(value)
    expect(table['n1']).toMatchObject({ codec: 'cbor', type: 'number' })
    expect(() => source.read('loss')).toThrow(expect.objectContaining({ code: 'E_ARTIFACT_UNKNOWN' }))
    expect(() => source.read('toString')).toThrow(expect.objectContaining({ code: 'E_ARTIFACT_UNKNOWN' }))
  })

  it('keeps the reference of what did not change, packed or not', async () => {
    const store = open()
    const large = new Float64Array(20_000).fill(2)
    const first = await save(store, { a: 1, list: [1, 2], large })
    const read = artifactSource(store, first)
    const second = await save(store, { a: 2, list: read.read('list'), large: read.read('large') }, first)
    expect(second['list']).toBe(first['list'])
    expect(second['large']).toBe(first['large'])
    expect(second['a']).not.toEqual(first['a'])
    expect(readArtifact(store, second['a']!)).toBe(2)
    const carried = await saveArtifacts(store, [{ name: 'list', state: 'carried' }], second)
    expect(carried).toEqual({ list: first['list'] })
  })

  it('sees a mutation in place', async () => {
    const store = open()
    const first = await save(store, { list: [1, 2], large: new Uint8Array(100_000) })
    const source = artifactSource(store, first)
    const list = source.read('list') as number[]
    const large = source.read('large') as Uint8Array
    list.push(3)
    large[99_999] = 1
    const second = await save(store, { list, large }, first)
    expect(readArtifact(store, second['list']!)).toEqual([1, 2, 3])
    expect((readArtifact(store, second['large']!) as Uint8Array)[99_999]).toBe(1)
    expect(source.read('list')).toEqual([1, 2])
  })

  it('round-trips 64 MB through pieces, and names its type', async () => {
    const store = open()
    const weights = Float64Array.from({ length: 8 << 20 }, (_, n) => n / 3)
    const table = await save(store, { model: { weights, name: 'm' } })
    const back = readArtifact(store, table['model']!) as { weights: Float64Array; name: string }
    expect(back.name).toBe('m')
    expect(Buffer.compare(Buffer.from(back.weights.buffer), Buffer.from(weights.buffer))).toBe(0)
    expect(readdirSync(`${store.location.replace(/^dir:|\?.*$/g, '')}/tmp`)).toEqual([])
  })

  it('says which artifact of which step cannot be saved, and the path in it', async () => {
    const store = open()
    const server = createServer()
    class Model {
      layers = []
    }
    const cases: [unknown, RegExp][] = [
      [
        { layers: [0, 1, 2, { fn: () => 1 }] },
        /artifact 'model' of step 'fit' .* model\.layers\[3\]\.fn is the function 'fn'/,
      ],
      [server, /model is a stream or socket|model is an instance of Server/],
      [new Map([['a', Symbol('s')]]), /model\.get\("a"\) is a symbol/],
      [new Set([Promise.resolve()]), /\[\.\.\.model\]\[0\] is a Promise/],
      [{ 'a b': [new Model()] }, /model\["a b"\]\[0\] is an instance of Model/],
      [new (class Lists extends Array {})(), /instance of Lists/],
      [new WeakMap(), /instance of WeakMap/],
      [{ [Symbol.for('s')]: 1 }, /symbol/],
      [new Uint8Array(new SharedArrayBuffer(4)), /shared memory/],
      [new Error('e', { cause: () => {} }), /model\.cause is the function/],
    ]
    for (const [model, message] of cases) {
      const error = await save(store, { model }).catch((thrown: unknown) => thrown)
      expect(error).toMatchObject({ code: 'E_ARTIFACT_UNSUPPORTED', step: 'fit' })
      expect((error as Error).message).toMatch(message)
    }
    expect(await blobs(store)).toBe(0)
  })

  it('asks codecs for class instances, whole or nested', async () => {
    class Tensor {
      constructor(readonly data: number[]) {}
    }
    const codec: ArtifactCodec<Tensor> = {
      name: 'tensor',
      matches: (value): value is Tensor => value instanceof Tensor,
      encode: async (tensor) => Buffer.from(JSON.stringify(tensor.data)),
      decode: (bytes) => new Tensor(JSON.parse(Buffer.from(bytes).toString()) as number[]),
    }
    const store = open()
    const tensor = new Tensor([1, 2])
    const table = await save(store, { whole: tensor, nested: { deep: [tensor, tensor] } }, {}, [codec as ArtifactCodec])
    expect(table['whole']).toMatchObject({ codec: 'tensor', type: 'Tensor' })
    const source = artifactSource(store, table, { codecs: [codec as ArtifactCodec] })
    expect(source.read('whole')).toEqual(tensor)
    const nested = source.read('nested') as { deep: Tensor[] }
    expect(nested.deep[0]).toBeInstanceOf(Tensor)
    expect(nested.deep[0]).toBe(nested.deep[1])
    expect(() => artifactSource(store, table).read('whole')).toThrow(
      expect.objectContaining({ code: 'E_ARTIFACT_CODEC' }),
    )
    const broken = { ...codec, encode: () => 'text' } as unknown as ArtifactCodec
    await expect(save(store, { whole: tensor }, {}, [broken])).rejects.toMatchObject({ code: 'E_ARTIFACT_CODEC' })
  })
})

describe('saveValues', () => {
  it('stores the items of a foreach together', async () => {
    const store = open()
    const items = Array.from({ length: 200 }, (_, n) => ({ n, text: `item ${n}` }))
    const refs = await saveValues(store, items, { label: 'items', step: 'start' })
    expect(await blobs(store)).toBe(1)
    expect(refs.map((ref) => readArtifact(store, ref))).toEqual(items)
    await expect(saveValues(store, [1, () => {}], { label: 'items', step: 'start' })).rejects.toThrow(
      /items\[1\] is a function/,
    )
  })
})

describe('joinTables', () => {
  it('takes over what parents agree on and names what they do not', async () => {
    const store = open()
    const base = await save(store, { data: [1, 2, 3], mode: 'cv' })
    const a = await save(store, { data: [1, 2, 3], mode: 'cv', loss: 1, onlyA: true, extra: 1 }, base)
    const b = await save(store, { loss: 2, data: [1, 2, 3], extra: 1 })
    expect(sameArtifact(a['data']!, b['data']!)).toBe(true)
    const { artifacts, ambiguous } = joinTables([
      { step: 'a', artifacts: a },
      { step: 'b', artifacts: b },
    ])
    expect(Object.keys(artifacts).sort()).toEqual(['data', 'extra', 'mode', 'onlyA'])
    expect(ambiguous).toEqual({ loss: ['a', 'b'] })
    const source = artifactSource(store, artifacts, { ambiguous })
    expect(source.ambiguous('loss')).toEqual(['a', 'b'])
    expect(source.ambiguous('data')).toBeUndefined()
    expect(source.names()).toContain('loss')
  })
})
