import { once } from 'node:events'
import { appendFileSync, existsSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { Datastore } from '../../src/datastore/contract.js'
import { chunkKey, committedOf } from '../../src/datastore/logs/chunks.js'
import { logProcesses, mergeLogs, type ReadLogOptions, readLog, tailLog } from '../../src/datastore/logs/read.js'
import { commitSpoolDirectory, recoverSpools } from '../../src/datastore/logs/recover.js'
import { LogSink } from '../../src/datastore/logs/sink.js'
import type { LogTarget } from '../../src/datastore/logs/spool.js'
import { openDatastoreSync } from '../../src/datastore/open.js'
import { fixture, startFixture } from './fixture.js'
import { tempDirectory } from './helpers.js'

const address = { flow: 'F', run: '1', step: 's', task: '2', attempt: 1 }
const target: LogTarget = { address, epoch: 1, node: 0, process: 'body' }
let now = 0n

function record(text: string | Uint8Array, stream: 'stdout' | 'stderr' = 'stdout', at = ++now): Buffer {
  const data = Buffer.from(text as string)
  const head = Buffer.alloc(13)
  head.writeUInt8(stream === 'stdout' ? 1 : 2)
  head.writeBigUInt64BE(at, 1)
  head.writeUInt32BE(data.length, 9)
  return Buffer.concat([head, data])
}
const open = (): { store: Datastore; file: string } => {
  const store = openDatastoreSync(tempDirectory(), { sync: false })
  return { store, file: join(store.scratch('spool', 'x'), 'body-1.spool') }
}
const lines = async (store: Datastore, options?: ReadLogOptions, of = address): Promise<string[]> => {
  const all: string[] = []
  for await (const line of readLog(store, of, options)) all.push(line.text)
  return all
}
/** As if nobody had written to it for a minute. */
const age = (file: string): void => {
  utimesSync(file, new Date(Date.now() - 60_000), new Date(Date.now() - 60_000))
}

describe('a log', () => {
  it('is committed in chunks while it grows, and whole at the end', async () => {
    const { store, file } = open()
    const sink = new LogSink({ store, file, target, chunkBytes: 1000, everyMs: 5 }).start()
    const written: string[] = []
    for (let n = 0; n < 300; n++) {
      written.push(`line ${n} ${'x'.repeat(n % 40)}`)
      appendFileSync(file, record(`${written[n]}\n`))
      if (n % 50 === 0) await sleep(20)
    }
    const during = await lines(store)
    expect(during).toEqual(written)
    const chunked = async () => (await committedOf(store, target)).chunks.length
    await expect.poll(chunked, { timeout: 10_000 }).toBeGreaterThan(0)
    appendFileSync(file, record('no line end'))
    await sink.finish()
    expect(existsSync(file)).toBe(false)
    expect(existsSync(`${file}.claims`)).toBe(false)
    expect(await lines(store)).toEqual([...written, 'no line end'])
    const { chunks, ended } = await committedOf(store, target)
    expect(ended).toBe(true)
    expect(chunks.reduce((sum, chunk) => sum + chunk.lines, 0)).toBe(300)
    for (const count of [1, 2, 7, 100, 301, 1000]) {
      const tail = (await tailLog(store, address, count)).map((line) => line.text)
      expect(tail).toEqual([...written, 'no line end'].slice(-count))
    }
  })

  it('cuts lines at no character, keeps streams apart, and shows what a terminal would', async () => {
    const { store, file } = open()
    const euro = Buffer.from('€')
    writeFileSync(
      file,
      Buffer.concat([
        record(Buffer.concat([Buffer.from('cost 5 '), euro.subarray(0, 1)])),
        record('error ', 'stderr'),
        record(euro.subarray(1, 2)),
        record('here\n', 'stderr'),
        record(Buffer.concat([euro.subarray(2), Buffer.from('\r\n10%\r20%\r')])),
        record('100%\n\nlast'),
      ]),
    )
    await new LogSink({ store, file, target, chunkBytes: 20 }).finish()
    expect(await lines(store)).toEqual(['error here', 'cost 5 €', '100%', '', 'last'])
    expect(await lines(store, { stream: 'stdout' })).toEqual(['cost 5 €', '100%', '', 'last'])
    expect(await lines(store, { stream: 'stderr' })).toEqual(['error here'])
    expect(await lines(store, { raw: true, stream: 'stdout' })).toEqual(['cost 5 €\r', '10%\r20%\r100%', '', 'last'])
    expect((await tailLog(store, address, 1, { stream: 'stderr' }))[0]).toMatchObject({ stream: 'stderr' })
  })

  it('of a process that printed nothing costs nothing', async () => {
    const { store, file } = open()
    await new LogSink({ store, file, target }).start().finish()
    expect(await lines(store)).toEqual([])
    expect(await tailLog(store, address, 5)).toEqual([])
    expect(await store.listRecords('')).toEqual([])
    expect(existsSync(`${file}.claims`)).toBe(false)
  })

  it('of 50 MB is streamed, whole and in order', async () => {
    const { store, file } = open()
    const line = `${'0123456789'.repeat(20)}\n`
    const block = record(line.repeat(300))
    for (let n = 0; n < 870; n++) appendFileSync(file, block)
    await new LogSink({ store, file, target }).finish()
    let count = 0
    for await (const { text } of readLog(store, address)) {
      if (text.length !== 200) throw new Error(`line ${count} is ${text.length} long`)
      count++
    }
    expect(count).toBe(261_000)
    expect(await tailLog(store, address, 3)).toHaveLength(3)
  })

  it('without any line end does not fill the memory', async () => {
    const { store, file } = open()
    for (let n = 0; n < 40; n++) appendFileSync(file, record('ä'.repeat(100_000)))
    await new LogSink({ store, file, target }).finish()
    const all = await lines(store)
    expect(all.length).toBeGreaterThan(5)
    expect(all.join('')).toBe('ä'.repeat(4_000_000))
  })

  it('of a reused body is divided at the byte where its task ended', async () => {
    const { store, file } = open()
    const second = { ...target, address: { ...address, task: '3' } }
    const third = { ...target, address: { ...address, task: '4' } }
    const one = new LogSink({ store, file, target }).start()
    appendFileSync(file, record('one\n'))
    const cut = record('one\n').length
    await one.finish({ to: cut })
    const two = new LogSink({ store, file, target: second, from: cut }).start()
    await two.finish({ to: cut })
    const three = new LogSink({ store, file, target: third, from: cut }).start()
    appendFileSync(file, record('three\n'))
    expect(await lines(store, {}, third.address)).toEqual(['three'])
    await three.finish()
    expect(await lines(store)).toEqual(['one'])
    expect(await lines(store, {}, second.address)).toEqual([])
    expect(await lines(store, {}, third.address)).toEqual(['three'])
    expect(existsSync(file)).toBe(false)
  })

  it('is read in place and then recovered when its owner was killed, the last line too', async () => {
    const script = await fixture('spooler')
    const { store, file } = open()
    const written: string[] = []
    for (let round = 0; round < 4; round++) {
      const of = { ...target, address: { ...address, task: String(10 + round) } }
      const spool = `${file}-${round}`
      const root = store.location.replace(/^dir:|\?.*$/g, '')
      const child = startFixture(script, [root, spool, JSON.stringify(of), '500'])
      await once(child.stdout!, 'readable')
      for (let n = 0; n < 200; n++) {
        written.push(`${round} ${n}`)
        appendFileSync(spool, record(`${round} ${n}\n`))
        if (n % 40 === 0) await sleep(Math.random() * 15)
      }
      child.kill('SIGKILL')
      await once(child, 'exit')
      // Half a record: what the killed writer left.
      appendFileSync(spool, record('never whole\n').subarray(0, 20))
      const mine = written.filter((line) => line.startsWith(`${round} `))
      expect(await lines(store, {}, of.address)).toEqual(mine)
      expect((await tailLog(store, of.address, 2)).map((line) => line.text)).toEqual(mine.slice(-2))
      expect(await logProcesses(store, of.address)).toEqual([of])
      expect(await recoverSpools(store)).toEqual([]) // it grew a moment ago
      age(spool)
      const found = await Promise.all([recoverSpools(store), recoverSpools(store)])
      expect(found.flat()).toContainEqual(of)
      expect(existsSync(spool)).toBe(false)
      expect(await lines(store, {}, of.address)).toEqual(mine)
      expect((await committedOf(store, of)).ended).toBe(true)
      expect(await store.readRecord(chunkKey(of, 0))).toBeDefined()
    }
  })

  it('of a living owner is left alone', async () => {
    const { store, file } = open()
    const sink = new LogSink({ store, file, target }).start()
    writeFileSync(file, record('alive\n'))
    age(file)
    expect(await recoverSpools(store)).toEqual([])
    expect(await lines(store)).toEqual(['alive'])
    await sink.finish()
  })

  it('is followed to its end', async () => {
    const { store, file } = open()
    const sink = new LogSink({ store, file, target, chunkBytes: 30, everyMs: 20 }).start()
    appendFileSync(file, record('first\n'))
    const following = lines(store, { follow: true })
    await sleep(100)
    for (let n = 0; n < 10; n++) appendFileSync(file, record(`line ${n}\n`))
    await sleep(300)
    appendFileSync(file, record('end\n'))
    await sink.finish()
    expect(await following).toEqual(['first', ...Array.from({ length: 10 }, (_, n) => `line ${n}`), 'end'])
    const controller = new AbortController()
    const endless = new LogSink({ store, file, target: { ...target, node: 1 } }).start()
    const waiting = lines(store, { node: 1, follow: true, signal: controller.signal })
    setTimeout(() => controller.abort(), 50)
    await expect(waiting).rejects.toThrow()
    await endless.finish()
  })

  it('of a whole node is committed from what it left, and merged by time', async () => {
    const { store } = open()
    const directory = store.scratch('spool', 'node0')
    writeFileSync(
      join(directory, 'rank0.spool'),
      Buffer.concat([record('a1\n', 'stdout', 1n), record('a2\n', 'stdout', 5n)]),
    )
    writeFileSync(
      join(directory, 'rank1.spool'),
      Buffer.concat([record('b1\n', 'stdout', 2n), record('b2\n', 'stdout', 4n)]),
    )
    await commitSpoolDirectory(store, { address, epoch: 2, node: 0 }, directory)
    const processes = await logProcesses(store, address)
    expect(processes.map(({ epoch, node, process }) => [epoch, node, process])).toEqual([
      [2, 0, 'rank0'],
      [2, 0, 'rank1'],
    ])
    const merged: string[] = []
    for await (const line of mergeLogs(store, processes)) merged.push(`${line.process} ${line.text}`)
    expect(merged).toEqual(['rank0 a1', 'rank1 b1', 'rank1 b2', 'rank0 a2'])
  })
})
