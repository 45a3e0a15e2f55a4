import { existsSync, readdirSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { Client } from '../../src/client/client.js'
import type { Datastore } from '../../src/datastore/contract.js'
import { collectGarbage } from '../../src/datastore/gc/collect.js'
import { openDatastoreSync } from '../../src/datastore/open.js'
import { SampleRun } from '../client/sample.js'
import { tempDirectory } from './helpers.js'

const rootOf = (store: Datastore): string => store.location.replace(/^dir:|\?.*$/g, '')
const open = () => openDatastoreSync(tempDirectory(), { sync: false })
const long = new Date(Date.now() - 10 * 3_600_000)

/** Makes every blob old enough to go. */
async function ageBlobs(store: Datastore): Promise<void> {
  for await (const { hash } of store.listBlobs())
    utimesSync(join(rootOf(store), 'blobs', hash.slice(0, 2), hash), long, long)
}
async function finished(store: Datastore, run: string, value: unknown): Promise<SampleRun> {
  const sample = await SampleRun.start(store, 'Train', run)
  await sample.task('end', '1')
  await sample.attempt('end', '1', 0, [`log of ${run}`])
  await sample.done('end', '1', { value, shared: new Uint8Array(70_000).fill(7) })
  await sample.end('done')
  return sample
}

describe('collectGarbage', () => {
  it('keeps the newest runs whole and deletes the others with what only they used', async () => {
    const store = open()
    for (const run of ['8', '9', '10', '11']) await finished(store, run, { run })
    const files = (run: string) => join(rootOf(store), 'scratch/files/Train', run)
    for (const run of ['9', '10']) store.scratch('files', 'Train', run, 'end', '1', '0')
    await ageBlobs(store)
    const dry = await collectGarbage(store, { keep: 2, dryRun: true })
    expect(dry.runs.map(({ run }) => run).sort()).toEqual(['8', '9'])
    const client = new Client(store)
    expect(await client.runs('Train')).toHaveLength(4)
    const real = await collectGarbage(store, { keep: 2 })
    expect(real).toEqual(dry)
    expect([files('9'), files('10')].map((path) => existsSync(path))).toEqual([false, true])
    expect(real.blobs).toBe(4) // two artifacts' and two logs'; the shared blob and the code stay
    expect((await client.runs('Train')).map(({ id }) => id)).toEqual(['11', '10'])
    for (const run of await client.runs('Train')) {
      expect(run.artifacts['value']).toEqual({ run: run.id })
      expect(run.artifacts['shared']).toHaveLength(70_000)
      expect((await run.task('end').tail(1))[0]?.text).toBe(`log of ${run.id}`)
    }
    expect(await collectGarbage(store, { keep: 2 })).toEqual({ runs: [], blobs: 0, bytes: 0 })
    const none = await collectGarbage(store, { keep: 0 })
    expect(none.runs).toHaveLength(2)
    expect(
      readdirSync(join(rootOf(store), 'blobs')).flatMap((fan) => readdirSync(join(rootOf(store), 'blobs', fan))),
    ).toEqual([])
  })

  it('spares the living, what is younger than the grace, other flows, and the origin of a kept run', async () => {
    const store = open()
    const first = await finished(store, '1', 'origin')
    await finished(store, '2', 'goes')
    const other = await SampleRun.start(store, 'Other', '1')
    await other.end('done')
    const resumed = await SampleRun.start(store, 'Train', '3', { origin: '1' })
    await resumed.task('end', '1', { origin: { run: '1', task: '1' } })
    await resumed.end('done')
    const fresh = await store.putBlob(Buffer.from('a step is about to record this'))
    const report = await collectGarbage(store, { keep: 1, flow: 'Train' })
    expect(report.runs).toEqual([{ flow: 'Train', run: '2' }])
    expect(report.blobs).toBe(0)
    expect(await store.hasBlob(fresh.hash)).toBe(true)
    const client = new Client(store)
    expect(client.run('Train/1').artifacts['value']).toBe('origin')
    expect(await client.flows()).toEqual(['Other', 'Train'])

    await ageBlobs(store)
    const living = await SampleRun.start(store, 'Train', '4')
    await SampleRun.start(store, 'Train', '5', { dead: true })
    // Dedupe renews a blob's age: the living run is about to refer to it.
    const again = await store.putBlob(Buffer.from('a step is about to record this'))
    const second = await collectGarbage(store, { keep: 0, graceMs: 0 })
    expect(second.runs.map(({ flow, run }) => `${flow}/${run}`).sort()).toEqual([
      'Other/1',
      'Train/1',
      'Train/3',
      'Train/5',
    ])
    expect(await store.hasBlob(again.hash)).toBe(true)
    expect(client.run('Train/4').status).toBe('running')
    expect(first.base.run).toBe('1')
    expect(living.base.run).toBe('4')
  })

  it('clears what cut off writes and dead runs left beside it', async () => {
    const store = open()
    await finished(store, '1', 1)
    const temp = join(rootOf(store), 'tmp', 'left')
    writeFileSync(temp, '')
    utimesSync(temp, long, long)
    const young = join(rootOf(store), 'tmp', 'young')
    writeFileSync(young, '')
    writeFileSync(join(store.scratch('tmp', 'Train', '1'), 'file'), '')
    const code = store.scratch('code', 'a'.repeat(64))
    utimesSync(code, long, long)
    await collectGarbage(store, { keep: 0 })
    expect([temp, young, code].map((path) => existsSync(path))).toEqual([false, true, false])
    expect(existsSync(join(rootOf(store), 'scratch/tmp/Train/1'))).toBe(false)
  })

  it('refuses a number of runs that is none', async () => {
    await expect(collectGarbage(open(), { keep: -1 })).rejects.toMatchObject({ code: 'E_GC_KEEP' })
    await expect(collectGarbage(open(), { keep: 1.5 })).rejects.toMatchObject({ code: 'E_GC_KEEP' })
  })

  it('never deletes a blob that is stored again at the same moment', async () => {
    const store = open()
    const data = Buffer.from('wanted again and again')
    const { hash } = await store.putBlob(data)
    for (let round = 0; round < 100; round++) {
      await ageBlobs(store)
      const before = Date.now() - 3_600_000
      await Promise.all([store.deleteBlob(hash, { unlessSince: before }), store.putBlob(data)])
      expect(data.equals(await store.getBlob(hash))).toBe(true)
    }
  })
})
