import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { datastoreConformance } from '../../src/datastore/conformance.js'
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

describe.each([true, false])('a directory, with fsync %s,', (sync) => {
  it.each(datastoreConformance)('$name', async ({ run }) => {
    const root = tempDirectory()
    await run(() => openDatastore(root, { sync }))
    expect(existsSync(join(root, 'tmp')) ? readdirSync(join(root, 'tmp')) : []).toEqual([])
  })
})

describe('records', () => {
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
