import assert from 'node:assert/strict'
import type { Datastore } from './contract.js'

/** One thing that every datastore has to do. */
export interface DatastoreCase {
  readonly name: string
  /** `open` gives a store that is empty at the first call, and the same store, as another process sees it, at the next. */
  run(open: () => Promise<Datastore>): Promise<void>
}

const collect = async <T>(items: AsyncIterable<T>): Promise<T[]> => {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}
const code = (expected: string) => (error: unknown) => (error as { code?: string }).code === expected
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString()

/**
 * What the contract of `Datastore` promises, as cases for any test runner:
 * `for (const { name, run } of datastoreConformance) test(name, () => run(open))`.
 */
export const datastoreConformance: readonly DatastoreCase[] = [
  {
    name: 'a record is created once, whoever tries',
    async run(open) {
      const [one, two] = [await open(), await open()]
      const tries = Array.from({ length: 20 }, (_, n) => (n % 2 ? one : two).createRecord('a/b/c', { n }))
      const created = await Promise.all(tries)
      assert.equal(created.filter(Boolean).length, 1)
      assert.deepEqual(await two.readRecord('a/b/c'), { n: created.indexOf(true) })
      assert.deepEqual(one.readRecordSync('a/b/c'), { n: created.indexOf(true) })
    },
  },
  {
    name: 'a record that is replaced is never seen in part',
    async run(open) {
      const [one, two] = [await open(), await open()]
      const values = ['x', 'y'.repeat(100_000)]
      await one.putRecord('r', values[0]!)
      let writing = true
      const writes = (async () => {
        for (let n = 0; n < 40; n++) await one.putRecord('r', values[n % 2]!)
        writing = false
      })()
      while (writing) assert.ok(values.includes((await two.readRecord('r')) as string))
      await writes
    },
  },
  {
    name: 'records that are not durable at once are seen at once, and kept',
    async run(open) {
      const store = await open()
      assert.equal(await store.createRecord('lazy/1', 1, { durable: false }), true)
      await store.putRecord('lazy/2', 2, { durable: false })
      const other = await open()
      assert.deepEqual(await Promise.all([other.readRecord('lazy/1'), other.readRecord('lazy/2')]), [1, 2])
      await store.close()
      assert.equal(await (await open()).readRecord('lazy/1'), 1)
    },
  },
  {
    name: 'keys are listed below a prefix that ends at a segment, sorted, to a depth',
    async run(open) {
      const store = await open()
      for (const key of ['f/1/run', 'f/1/tasks/s/0/spec', 'f/10/run', 'f/1.json/run', 'f/1', 'g/x']) {
        await store.putRecord(key, key)
      }
      assert.deepEqual(await store.listRecords('f/1'), ['f/1/run', 'f/1/tasks/s/0/spec'])
      assert.deepEqual(await store.listRecords('f/1/'), ['f/1/run', 'f/1/tasks/s/0/spec'])
      assert.deepEqual(await store.listRecords('f', { depth: 2 }), ['f/1', 'f/1.json/run', 'f/1/run', 'f/10/run'])
      assert.deepEqual(await store.listRecords('nothing'), [])
      assert.equal((await store.listRecords('')).length, 6)
      assert.deepEqual(await store.listChildren('f'), ['1', '1.json', '10'])
      assert.deepEqual(store.listChildrenSync('f/1'), ['run', 'tasks'])
      assert.deepEqual(await store.listChildren('f/1/none'), [])
    },
  },
  {
    name: 'a key of other characters is refused',
    async run(open) {
      const store = await open()
      for (const key of ['', 'a//b', '../x', 'a/./b', 'a/b c', 'a/ü', '/a', 'a/', `a/${'x'.repeat(201)}`]) {
        await assert.rejects(store.putRecord(key, 1), code('E_DATASTORE_KEY'), key)
      }
      await assert.rejects(store.getBlob('../x'), code('E_DATASTORE_KEY'))
    },
  },
  {
    name: 'records are deleted, one or all below a prefix',
    async run(open) {
      const store = await open()
      for (const key of ['a/1/x', 'a/1/y/z', 'a/2/x']) await store.putRecord(key, 1)
      await store.deleteRecord('a/1/x')
      await store.deleteRecord('a/1/x')
      assert.equal(await store.readRecord('a/1/x'), undefined)
      assert.equal(store.readRecordSync('a/1/x'), undefined)
      await store.deleteRecords('a/1')
      await store.deleteRecords('a/1')
      assert.deepEqual(await store.listChildren('a'), ['2'])
      assert.equal(await store.createRecord('a/1/x', 2), true)
    },
  },
  {
    name: 'a blob is stored once, whole or from a stream, and read in every way',
    async run(open) {
      const store = await open()
      const ref = await store.putBlob(Buffer.from('hello'))
      assert.deepEqual(ref, { hash: '2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824', size: 5 })
      async function* pieces() {
        for (const piece of ['hel', '', 'lo']) yield Buffer.from(piece)
      }
      assert.deepEqual(await store.putBlob(pieces(), { durable: false }), ref)
      const other = await open()
      assert.equal(await other.hasBlob(ref.hash), true)
      assert.equal(await other.keepBlob(ref), true)
      assert.equal(await other.keepBlob({ ...ref, size: 4 }), false)
      assert.equal(text(await other.getBlob(ref.hash)), 'hello')
      assert.equal(text(other.getBlobSync(ref.hash)), 'hello')
      assert.equal(text(Buffer.concat(await collect(other.streamBlob(ref.hash)))), 'hello')
      const reader = other.openBlobSync(ref.hash)
      const [first, rest] = [Buffer.alloc(2), Buffer.alloc(3)]
      reader.readSync(first)
      reader.readSync(rest)
      reader.close()
      assert.deepEqual([reader.size, text(first), text(rest)], [5, 'he', 'llo'])
      const blobs = await collect(other.listBlobs())
      assert.deepEqual(
        blobs.map(({ hash, size }) => ({ hash, size })),
        [ref],
      )
      assert.ok(Math.abs(blobs[0]!.storedAt - Date.now()) < 3_600_000)
      const empty = await store.putBlob(new Uint8Array(0))
      assert.equal((await store.getBlob(empty.hash)).length, 0)
      assert.equal(store.getBlobSync(empty.hash).length, 0)
    },
  },
  {
    name: 'a large blob goes through a stream in pieces',
    async run(open) {
      const store = await open()
      const piece = Buffer.alloc(700_001, 'abcdefg')
      async function* pieces() {
        for (let n = 0; n < 20; n++) yield piece
      }
      const { hash, size } = await store.putBlob(pieces())
      assert.equal(size, 20 * piece.length)
      const read = await collect(store.streamBlob(hash))
      assert.ok(read.length > 1)
      const all = Buffer.concat(Array.from({ length: 20 }, () => piece))
      assert.ok(all.equals(Buffer.concat(read)))
      assert.ok(all.equals(await store.getBlob(hash)))
      assert.ok(all.equals(store.getBlobSync(hash)))
    },
  },
  {
    name: 'a blob that is not there is a named error',
    async run(open) {
      const store = await open()
      const hash = 'a'.repeat(64)
      const missing = code('E_DATASTORE_BLOB_MISSING')
      assert.equal(await store.hasBlob(hash), false)
      await assert.rejects(store.getBlob(hash), missing)
      await assert.rejects(collect(store.streamBlob(hash)), missing)
      assert.throws(() => store.getBlobSync(hash), missing)
      assert.equal(await store.deleteBlob(hash), true)
    },
  },
  {
    name: 'a write that is aborted, or whose source fails, leaves nothing',
    async run(open) {
      const store = await open()
      const controller = new AbortController()
      async function* endless() {
        for (let n = 0; ; n++) {
          if (n === 3) controller.abort(new Error('enough'))
          yield Buffer.alloc(1000, n)
        }
      }
      await assert.rejects(store.putBlob(endless(), { signal: controller.signal }), /enough/)
      // biome-ignore lint/correctness/useYield: it fails first
      async function* broken(): AsyncGenerator<Uint8Array> {
        throw new Error('the source broke')
      }
      await assert.rejects(store.putBlob(broken()), /the source broke/)
      assert.deepEqual(await collect(store.listBlobs()), [])
    },
  },
  {
    name: 'a blob is deleted unless it was stored, or stored again, since',
    async run(open) {
      const store = await open()
      const data = Buffer.from('data')
      const { hash } = await store.putBlob(data)
      assert.equal(await store.deleteBlob(hash, { unlessSince: Date.now() - 3_600_000 }), false)
      assert.equal(text(await store.getBlob(hash)), 'data')
      assert.equal(await store.deleteBlob(hash), true)
      assert.equal(await store.hasBlob(hash), false)
      await store.putBlob(data)
      await store.tidy(Date.now() - 3_600_000)
      assert.equal(await store.hasBlob(hash), true)
    },
  },
]
