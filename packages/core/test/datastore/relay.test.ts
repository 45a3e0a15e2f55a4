import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { saveArtifacts } from '../../src/datastore/artifacts/save.js'
import { readArtifact } from '../../src/datastore/artifacts/source.js'
import { datastoreConformance } from '../../src/datastore/conformance.js'
import { openDatastore } from '../../src/datastore/open.js'
import { keys } from '../../src/datastore/records.js'
import { BlobCache } from '../../src/datastore/relay/cache.js'
import { tempDirectory } from './helpers.js'
import { relayed } from './relay-hosts.js'

const MB = 1 << 20
const slack = Number(process.env['GANGFLOW_SLACK'] ?? 1)
/** Bytes that no other blob has. */
const bytesOf = (size: number, seed = 1): Buffer => {
  const bytes = Buffer.allocUnsafe(size)
  for (let at = 0, state = seed; at + 4 <= size; at += 4) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    bytes.writeUInt32LE(state, at)
  }
  return bytes
}
async function* inPieces(bytes: Buffer, size = MB): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

describe('a relayed datastore', () => {
  it.each(datastoreConformance)('from two hosts: $name', async ({ run }) => {
    const relay = await relayed()
    let opened = 0
    await run(async () => (opened++ % 2 === 0 ? relay.open() : await relay.another()))
  })

  it('opens by its location, and needs nobody before the first use', async () => {
    const store = await openDatastore('relay:/nowhere/at.all')
    expect(store).toMatchObject({ location: 'relay:/nowhere/at.all', away: true })
    await expect(store.readRecord('a')).rejects.toMatchObject({ code: 'E_DATASTORE_LOST' })
    expect(() => store.readRecordSync('a')).toThrow(expect.objectContaining({ code: 'E_DATASTORE_LOST' }))
    await store.close()
  })

  it('carries what a step saves and reads, with the bytes on the disk of the owner', async () => {
    const relay = await relayed()
    const store = relay.open()
    const value = new Float64Array(200_000).map((_, index) => index / 3)
    const changes = [
      { name: 'big', state: 'value', value },
      { name: 'small', state: 'value', value: { a: [1, 2, 3] } },
    ] as const
    const table = await saveArtifacts(store, changes, {})
    const owner = await openDatastore(relay.root)
    const same = (read: unknown) => Buffer.from((read as Float64Array).buffer).equals(Buffer.from(value.buffer))
    expect(same(readArtifact(owner, table['big']!))).toBe(true)
    const elsewhere = await relay.another()
    expect(same(readArtifact(elsewhere, table['big']!))).toBe(true)
    expect(readArtifact(elsewhere, table['small']!)).toEqual({ a: [1, 2, 3] })
  })
})

describe('what is known is not sent again', () => {
  it('neither to the owner nor to a host', async () => {
    const relay = await relayed()
    const owner = await openDatastore(relay.root)
    const bytes = bytesOf(12 * MB)
    const { hash } = await owner.putBlob(bytes)
    const store = relay.open()
    const before = await relay.network.tell('?')
    expect((await store.putBlob(inPieces(bytes))).hash).toBe(hash)
    expect((await store.putBlob(bytes)).hash).toBe(hash)
    expect((await store.getBlob(hash)).length).toBe(bytes.length)
    expect((await relay.network.tell('?')) - before).toBeLessThan(MB)
    rmSync(join(relay.cache, 'blobs'), { recursive: true })
    expect(bytes.equals(store.getBlobSync(hash))).toBe(true)
    expect(bytes.equals(await relay.open().getBlob(hash))).toBe(true)
    const fetched = (await relay.network.tell('?')) - before
    expect(fetched).toBeGreaterThan(12 * MB)
    expect(fetched).toBeLessThan(14 * MB)
  })

  it('but what a disk of the host spoiled is fetched anew', async () => {
    const relay = await relayed()
    const owner = await openDatastore(relay.root)
    const bytes = bytesOf(2 * MB)
    const { hash } = await owner.putBlob(bytes)
    const store = relay.open()
    const spoil = () => {
      const file = join(relay.cache, 'blobs', hash.slice(0, 2), hash)
      mkdirSync(dirname(file), { recursive: true })
      writeFileSync(file, Buffer.alloc(2 * MB, 'x'))
    }
    spoil()
    expect(bytes.equals(await store.getBlob(hash))).toBe(true)
    spoil()
    expect(bytes.equals(store.getBlobSync(hash))).toBe(true)
  })

  it('and a cache keeps to its bound, sparing what is young', async () => {
    const cache = new BlobCache(tempDirectory(), 4 * MB)
    const refs = []
    for (let n = 0; n < 6; n++) refs.push(await cache.put(bytesOf(MB, n + 1), {}))
    await cache.trim()
    expect(await Promise.all(refs.map(({ hash }) => cache.has(hash)))).toEqual(Array(6).fill(true))
    await cache.trim(Date.now() + 600_000)
    const left = await Promise.all(refs.map(({ hash }) => cache.has(hash)))
    expect(left.filter(Boolean).length).toBe(3)
  })
})

describe('a connection that breaks', () => {
  it('in the midst of large transfers both ways loses nothing', async () => {
    const relay = await relayed()
    const owner = await openDatastore(relay.root)
    const [up, down] = [bytesOf(64 * MB, 7), bytesOf(64 * MB, 8)]
    const { hash } = await owner.putBlob(down)
    const store = relay.open()
    let cuts = 0
    const cutting = (async () => {
      for (let last = 0; cuts < 4; ) {
        const carried = await relay.network.tell('?')
        if (carried - last > 12 * MB) {
          last = await relay.network.tell('cut')
          cuts += 1
        }
        await sleep(1)
      }
    })()
    const [put, got] = await Promise.all([store.putBlob(inPieces(up)), store.getBlob(hash)])
    await cutting
    expect(cuts).toBe(4)
    // Each goes on where it was.
    expect(await relay.network.tell('?')).toBeLessThan(160 * MB)
    expect(down.equals(got)).toBe(true)
    expect(up.equals(await owner.getBlob(put.hash))).toBe(true)
    expect(readdirSync(join(relay.root, 'tmp'))).toEqual([])
    expect(readdirSync(join(relay.cache, 'tmp'))).toEqual([])
  })

  it('leaves every answer right: who created a record hears so, also when it was asked twice', async () => {
    const relay = await relayed()
    const stores = [relay.open(), await relay.another()]
    let won = 0
    for (let n = 0; n < 150; n++) {
      // Equal values: only the asker itself can tell whose it is.
      const asked = Promise.all(stores.map((store) => store.createRecord(`race/${n}`, { same: true })))
      // Somewhere between the ask and its answer; now and then also while it is dialled anew.
      for (let cut = 0; cut < (n % 10 === 9 ? 3 : 1); cut++) {
        await sleep(n % 5)
        await relay.network.tell('cut')
      }
      const answers = await asked
      expect(answers.filter(Boolean).length).toBe(1)
      if (answers[0]) won += 1
    }
    expect(won).toBeGreaterThan(0)
    expect(won).toBeLessThan(150)
  })

  it('without anybody hearing of it is dialled anew', async () => {
    const relay = await relayed({ lullMs: 1000 * slack })
    const store = relay.open()
    await store.putRecord('a', 1)
    await relay.network.tell('stall')
    expect(await store.createRecord('b', 2)).toBe(true)
    expect(store.readRecordSync('b')).toBe(2)
  })

  it('and does not come back is a named error, once its time is over', async () => {
    const relay = await relayed({ silenceMs: 1000 * slack })
    const store = relay.open()
    await store.putRecord('a', 1)
    await relay.network.tell('down')
    await expect(store.readRecord('a')).rejects.toMatchObject({
      code: 'E_DATASTORE_TIMEOUT',
      what: expect.stringMatching(/owner has not answered for .* reading record a; it could not be reached: /),
    })
    expect(() => store.readRecordSync('a')).toThrow(expect.objectContaining({ code: 'E_DATASTORE_TIMEOUT' }))
    await relay.network.tell('up')
    expect(await store.readRecord('a')).toBe(1)
    expect(store.readRecordSync('a')).toBe(1)
  })
})

describe('what hangs', () => {
  it('as a whole owner does, is named when its time is over, and takes up again', async () => {
    const relay = await relayed({ silenceMs: 1000 * slack })
    const store = relay.open()
    await store.putRecord('a', 1)
    relay.owner.child.kill('SIGSTOP')
    const late = {
      code: 'E_DATASTORE_TIMEOUT',
      what: expect.stringContaining("the datastore's owner has not answered"),
    }
    const asked = [store.readRecord('a'), store.putBlob(bytesOf(MB)), store.createRecord('b', 1)]
    for (const settled of await Promise.allSettled(asked)) expect(settled).toMatchObject({ reason: late })
    expect(() => store.getBlobSync('a'.repeat(64))).toThrow(expect.objectContaining(late))
    relay.owner.child.kill('SIGCONT')
    expect(await store.readRecord('a')).toBe(1)
  })

  it('as one file of the datastore does, is named, while everything else goes on', async () => {
    const relay = await relayed({ silenceMs: 1000 * slack })
    const hash = 'b'.repeat(64)
    mkdirSync(join(relay.root, 'blobs', 'bb'), { recursive: true })
    execFileSync('mkfifo', [join(relay.root, 'blobs', 'bb', hash)])
    const store = relay.open()
    const reading = store.getBlob(hash)
    reading.catch(() => {})
    for (let n = 0; n < 20; n++) await store.putRecord(`a/${n}`, n)
    await expect(reading).rejects.toMatchObject({
      code: 'E_DATASTORE_TIMEOUT',
      what: expect.stringContaining(`the datastore dir:${relay.root} has not answered`),
    })
    expect(await store.listChildren('a')).toHaveLength(20)
  })

  it('as an agent does, is named too; one that ended is known at once', async () => {
    const relay = await relayed()
    const store = relay.open({ silenceMs: 500 * slack })
    await store.putRecord('a', 1)
    expect(store.readRecordSync('a')).toBe(1)
    relay.host.child.kill('SIGSTOP')
    const late = { code: 'E_DATASTORE_TIMEOUT', what: expect.stringContaining('the agent that serves') }
    await expect(store.readRecord('a')).rejects.toMatchObject(late)
    expect(() => store.readRecordSync('a')).toThrow(expect.objectContaining(late))
    relay.host.child.kill('SIGCONT')
    expect(store.readRecordSync('a')).toBe(1)
    relay.host.child.kill('SIGKILL')
    await once(relay.host.child, 'exit')
    await expect(store.readRecord('a')).rejects.toMatchObject({ code: 'E_DATASTORE_LOST' })
    expect(() => store.readRecordSync('a')).toThrow(expect.objectContaining({ code: 'E_DATASTORE_LOST' }))
  })

  it('is given up when a signal says so', async () => {
    const relay = await relayed()
    const store = relay.open()
    await store.putRecord('a', 1)
    relay.owner.child.kill('SIGSTOP')
    const signal = AbortSignal.timeout(100)
    await expect(store.putBlob(bytesOf(8 * MB), { signal })).rejects.toThrow(/aborted due to timeout/)
    relay.owner.child.kill('SIGCONT')
    expect(await store.readRecord('a')).toBe(1)
  })
})

describe('the scope of a gang', () => {
  it('is its run and what that resumes to read, its attempt to write, and nothing to delete', async () => {
    const attempt = { flow: 'F', run: 'mine', step: 'fit', task: '0', attempt: 1 }
    const relay = await relayed({ attempt })
    const owner = await openDatastore(relay.root)
    const { hash } = await owner.putBlob(Buffer.from('kept'))
    for (const run of ['mine', 'older', 'other', 'mine2']) await owner.putRecord(keys.run('F', run), { run })
    const store = relay.open()
    for (const run of ['mine', 'older']) expect(await store.readRecord(keys.run('F', run))).toEqual({ run })
    expect(await store.listRecords(keys.runRoot('F', 'mine'))).toEqual([keys.run('F', 'mine')])
    expect(await store.createRecord(keys.attemptFailed(attempt), { attempt: 1 })).toBe(true)
    await store.putRecord(keys.plan(attempt, 0, 'mpi'), {})
    expect(await store.createRecord(keys.done(attempt), {})).toBe(true)
    const refused = { code: 'E_DATASTORE_SCOPE', what: expect.stringContaining('a gang reads F/mine and F/older') }
    const asked = [
      store.readRecord(keys.run('F', 'other')),
      store.readRecord(keys.run('F', 'mine2')),
      store.listChildren('flows'),
      store.listRecords(''),
      store.putRecord(keys.done(attempt), {}),
      store.putRecord(keys.run('F', 'mine'), {}),
      store.createRecord(keys.attemptFailed({ ...attempt, attempt: 0 }), {}),
      store.deleteRecord(keys.attemptFailed(attempt)),
      store.deleteRecords(keys.attempt(attempt)),
      store.deleteBlob(hash),
      store.tidy(0),
      store.listBlobs()[Symbol.asyncIterator]().next(),
    ]
    for (const settled of await Promise.allSettled(asked)) expect(settled).toMatchObject({ reason: refused })
    expect(() => store.readRecordSync(keys.run('F', 'other'))).toThrow(expect.objectContaining(refused))
    expect(await owner.hasBlob(hash)).toBe(true)
    expect(existsSync(join(relay.cache, 'records'))).toBe(false)
  })
})

it('holds little of many small blobs that are put at once', async () => {
  const relay = await relayed()
  const store = relay.open()
  await store.putRecord('warm', 1)
  const before = await Promise.all([relay.owner.tell('?'), relay.host.tell('?')])
  const blobs = Array.from({ length: 1000 }, (_, seed) => bytesOf(200 << 10, seed + 1))
  const refs = await Promise.all(blobs.map((bytes) => store.putBlob(bytes, { durable: false })))
  const after = await Promise.all([relay.owner.tell('?'), relay.host.tell('?')])
  for (const [index, peak] of after.entries()) expect(peak - before[index]!).toBeLessThan(120 * MB)
  const owner = await openDatastore(relay.root)
  expect(blobs[999]!.equals(await owner.getBlob(refs[999]!.hash))).toBe(true)
})

it('carries 300 MB both ways, beside many small asks, in little memory', async () => {
  const relay = await relayed()
  const store = relay.open()
  await store.putRecord('warm', 1)
  const before = await Promise.all([relay.owner.tell('?'), relay.host.tell('?')])
  const piece = bytesOf(3 * MB, 5)
  async function* large() {
    for (let n = 0; n < 100; n++) {
      piece.writeUInt32LE(n, 0)
      yield Buffer.from(piece)
    }
  }
  let asked = 0
  let going = true
  const small = (async () => {
    for (; going; asked++) await store.putRecord(`small/${asked % 50}`, { asked }, { durable: false })
  })()
  const ref = await store.putBlob(large())
  expect(ref.size).toBe(300 * MB)
  rmSync(join(relay.cache, 'blobs'), { recursive: true })
  const reader = store.openBlobSync(ref.hash)
  const part = Buffer.alloc(10 * MB)
  for (let n = 0; n < 30; n++) reader.readSync(part)
  reader.close()
  going = false
  await small
  expect(asked).toBeGreaterThan(20)
  const after = await Promise.all([relay.owner.tell('?'), relay.host.tell('?')])
  for (const [index, peak] of after.entries()) expect(peak - before[index]!).toBeLessThan(120 * MB)
})
