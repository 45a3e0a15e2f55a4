import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Datastore } from '../../src/datastore/contract.js'
import { defaultDatastore, openDatastore } from '../../src/datastore/open.js'
import { fixture, runFixture } from './fixture.js'
import { tempDirectory } from './helpers.js'

const open = (root = tempDirectory()): Promise<Datastore> => openDatastore(root, { sync: false })
const rootOf = (store: Datastore): string => store.location.replace(/^dir:|\?.*$/g, '')
const collect = async <T>(items: AsyncIterable<T>): Promise<T[]> => {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

describe('records', () => {
  it('are created once, replaced, listed and deleted', async () => {
    const store = await open()
    expect(await store.createRecord('flows/F/1/run', { a: 1 })).toBe(true)
    expect(await store.createRecord('flows/F/1/run', { a: 2 })).toBe(false)
    expect(await store.readRecord('flows/F/1/run')).toEqual({ a: 1 })
    expect(store.readRecordSync('flows/F/1/run')).toEqual({ a: 1 })
    await store.putRecord('flows/F/1/run', [null, 'x'])
    expect(await store.readRecord('flows/F/1/run')).toEqual([null, 'x'])
    await store.putRecord('flows/F/1/tasks/s/0/spec', 1)
    await store.putRecord('flows/F/10/run', 1)
    expect(await store.listRecords('flows/F/1')).toEqual(['flows/F/1/run', 'flows/F/1/tasks/s/0/spec'])
    expect(await store.listRecords('flows/F/1', { depth: 1 })).toEqual(['flows/F/1/run'])
    expect(await store.listRecords('flows/F', { depth: 2 })).toEqual(['flows/F/1/run', 'flows/F/10/run'])
    expect(await store.listChildren('flows/F')).toEqual(['1', '10'])
    expect(await store.listChildren('flows/F/1')).toEqual(['run', 'tasks'])
    expect(await store.listChildren('nothing/here')).toEqual([])
    await store.deleteRecord('flows/F/1/run')
    await store.deleteRecord('flows/F/1/run')
    expect(await store.readRecord('flows/F/1/run')).toBeUndefined()
    expect(store.readRecordSync('flows/F/1/run')).toBeUndefined()
  })

  it('keep apart a key and the keys below a key that looks like its file', async () => {
    const store = await open()
    await store.putRecord('a/b', 1)
    await store.putRecord('a/b.json/c', 2)
    await store.putRecord('a/b.json', 3)
    await store.putRecord('a/b.json_/c', 4)
    expect(await store.listRecords('a')).toEqual(['a/b', 'a/b.json', 'a/b.json/c', 'a/b.json_/c'])
    expect(await store.listChildren('a')).toEqual(['b', 'b.json', 'b.json_'])
    expect(await store.readRecord('a/b.json/c')).toBe(2)
  })

  it.each(['', 'a//b', '../x', 'a/./b', 'a/b c', 'a/ü', `a/${'x'.repeat(201)}`])('refuse the key %j', async (key) => {
    const store = await open()
    await expect(store.putRecord(key, 1)).rejects.toMatchObject({ code: 'E_DATASTORE_KEY' })
  })

  it('name a file that is no JSON', async () => {
    const store = await open()
    await store.putRecord('a', 1)
    writeFileSync(join(rootOf(store), 'records/a.json'), '{"half":')
    await expect(store.readRecord('a')).rejects.toMatchObject({ code: 'E_DATASTORE_CORRUPT' })
    expect(() => store.readRecordSync('a')).toThrow(expect.objectContaining({ code: 'E_DATASTORE_CORRUPT' }))
  })

  it('leave nothing behind, with and without syncing', async () => {
    const store = await openDatastore(tempDirectory())
    await Promise.all(
      Array.from({ length: 50 }, (_, n) => store.createRecord(`r/${n % 25}`, n, { durable: n % 2 === 0 })),
    )
    await store.close()
    expect(readdirSync(join(rootOf(store), 'tmp'))).toEqual([])
    expect(await store.listChildren('r')).toHaveLength(25)
  })
})

describe('blobs', () => {
  it('are stored once, whole or from a stream', async () => {
    const store = await open()
    const one = await store.putBlob(Buffer.from('hello'))
    expect(one).toEqual({ hash: '2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824', size: 5 })
    const two = await store.putBlob(
      (async function* () {
        yield Buffer.from('hel')
        yield Buffer.from('')
        yield Buffer.from('lo')
      })(),
    )
    expect(two).toEqual(one)
    expect(await collect(store.listBlobs())).toEqual([one])
    expect(await store.hasBlob(one.hash)).toBe(true)
    expect(Buffer.from(await store.getBlob(one.hash)).toString()).toBe('hello')
    expect(Buffer.from(store.getBlobSync(one.hash)).toString()).toBe('hello')
    expect(Buffer.concat(await collect(store.streamBlob(one.hash))).toString()).toBe('hello')
    const empty = await store.putBlob(new Uint8Array(0))
    expect((await store.getBlob(empty.hash)).length).toBe(0)
    expect(store.getBlobSync(empty.hash).length).toBe(0)
    await store.deleteBlob(one.hash)
    expect(await store.hasBlob(one.hash)).toBe(false)
  })

  it('are verified on every way of reading, and a cut one is stored again', async () => {
    const store = await open()
    const data = Buffer.alloc(3 << 20, 'abc')
    const { hash } = await store.putBlob(data)
    const path = join(rootOf(store), 'blobs', hash.slice(0, 2), hash)
    chmodSync(path, 0o600)
    writeFileSync(path, Buffer.alloc(3 << 20, 'abd'))
    const corrupt = { code: 'E_DATASTORE_CORRUPT' }
    await expect(store.getBlob(hash)).rejects.toMatchObject(corrupt)
    await expect(collect(store.streamBlob(hash))).rejects.toMatchObject(corrupt)
    expect(() => store.getBlobSync(hash)).toThrow(expect.objectContaining(corrupt))
    writeFileSync(path, data.subarray(1))
    await expect(store.getBlob(hash)).rejects.toMatchObject(corrupt)
    await store.putBlob(data)
    expect(data.equals(await store.getBlob(hash))).toBe(true)
  })

  it('that are missing or misnamed are named errors', async () => {
    const store = await open()
    const hash = 'a'.repeat(64)
    await expect(store.getBlob(hash)).rejects.toMatchObject({ code: 'E_DATASTORE_BLOB_MISSING' })
    expect(() => store.getBlobSync(hash)).toThrow(expect.objectContaining({ code: 'E_DATASTORE_BLOB_MISSING' }))
    await expect(store.getBlob('../../etc/passwd')).rejects.toMatchObject({ code: 'E_DATASTORE_KEY' })
  })

  it('stop being written when aborted or when their source fails, and leave nothing', async () => {
    const store = await open()
    const controller = new AbortController()
    async function* endless() {
      for (let n = 0; ; n++) {
        if (n === 3) controller.abort(new Error('enough'))
        yield Buffer.alloc(1000)
      }
    }
    await expect(store.putBlob(endless(), { signal: controller.signal })).rejects.toThrow('enough')
    expect(readdirSync(join(rootOf(store), 'tmp'))).toEqual([])
    expect(await collect(store.listBlobs())).toEqual([])
  })
})

describe('the directory', () => {
  it('is made at the first write, for its owner alone, out of the way of git', async () => {
    const root = join(tempDirectory(), 'a', '.gangflow')
    const store = await openDatastore(root)
    expect(await store.listChildren('flows')).toEqual([])
    expect(() => statSync(root)).toThrow()
    await store.putRecord('a', 1)
    expect(readFileSync(join(root, '.gitignore'), 'utf8')).toBe('*\n')
    expect(statSync(root).mode & 0o777).toBe(0o700)
    expect(statSync(join(root, 'records/a.json')).mode & 0o777).toBe(0o600)
  })

  it.each([0o777, 0o775, 0o722])('is refused with mode %o unless asked for', async (mode) => {
    const root = tempDirectory()
    chmodSync(root, mode)
    await expect(openDatastore(root)).rejects.toMatchObject({ code: 'E_DATASTORE_SHARED' })
    const store = await openDatastore(root, { shared: true })
    expect(store.location).toBe(`dir:${root}?shared`)
    expect((await openDatastore(store.location)).location).toBe(store.location)
  })

  it('lies beside the nearest package.json', () => {
    const root = tempDirectory()
    mkdirSync(join(root, 'project/src/flows'), { recursive: true })
    writeFileSync(join(root, 'project/package.json'), '{}')
    expect(defaultDatastore(join(root, 'project/src/flows/train.ts'))).toBe(`dir:${root}/project/.gangflow`)
    expect(defaultDatastore(join(root, 'project/src'))).toBe(`dir:${root}/project/.gangflow`)
  })

  it.each(['s3://bucket/x', 'dir:relative', 'dir:', '\0'])('is no directory: %j', async (location) => {
    await expect(openDatastore(location)).rejects.toMatchObject({ code: 'E_DATASTORE_LOCATION' })
  })

  it('is no file', async () => {
    const file = join(tempDirectory(), 'file')
    writeFileSync(file, '')
    await expect(openDatastore(file)).rejects.toMatchObject({ code: 'E_DATASTORE_LOCATION' })
  })

  it('gives scratch directories', async () => {
    const store = await open()
    expect(statSync(store.scratch('spool', 'F', '1')).isDirectory()).toBe(true)
    expect(() => store.scratch('..')).toThrow(expect.objectContaining({ code: 'E_DATASTORE_KEY' }))
  })

  it('says when the disk is full and when it may not write', async () => {
    const script = await fixture('refused')
    const full = tempDirectory()
    const limited = ['sh', '-c', 'ulimit -f 100; exec "$0" "$@"']
    const said = await runFixture(script, [full, String(10 << 20)], { prefix: limited })
    expect(JSON.parse(said)).toMatchObject({ code: 'E_DATASTORE_FULL' })
    expect(readdirSync(join(full, 'tmp'))).toEqual([])
    expect(await runFixture(script, [full, '1000'], { prefix: limited })).toBe('stored')

    const closed = tempDirectory()
    chmodSync(closed, 0o555)
    const root = process.getuid?.() === 0
    const refused = await runFixture(script, [`dir:${closed}?shared`, '10'], root ? { uid: 65534, gid: 65534 } : {})
    expect(JSON.parse(refused)).toMatchObject({ code: 'E_DATASTORE_PERMISSION' })
  })
})
