import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { BlobRef } from '../../src/datastore/contract.js'
import { openDatastore } from '../../src/datastore/open.js'
import { fixture, runFixture, startFixture } from './fixture.js'
import { tempDirectory } from './helpers.js'

describe('a datastore', () => {
  it('is whole after kill -9 in the midst of writes, with all that was acknowledged', async () => {
    const script = await fixture('writer')
    const root = tempDirectory()
    const acknowledged: { n: number; round: number; blob: BlobRef; created: boolean }[] = []
    for (let round = 0; round < 12; round++) {
      const child = startFixture(script, [root, String(round)])
      const output = text(child.stdout!)
      await once(child.stdout!, 'readable')
      await sleep(Math.random() * 40)
      child.kill('SIGKILL')
      await once(child, 'exit')
      for (const line of (await output).split('\n').slice(0, -1)) acknowledged.push({ round, ...JSON.parse(line) })
    }
    expect(acknowledged.length).toBeGreaterThan(12)

    const store = await openDatastore(root)
    for (const { n, round, blob, created } of acknowledged) {
      expect(created).toBe(true)
      expect(await store.readRecord(`made/${round}/deep/${n}`)).toMatchObject({ n })
      expect(await store.readRecord(`lazy/${round}/${n}`)).toEqual({ n })
      expect((await store.getBlob(blob.hash)).length).toBe(blob.size)
    }
    // Also what nobody was told of is whole, or is not there at all.
    for (const key of await store.listRecords('')) expect(await store.readRecord(key)).toBeDefined()
    for await (const blob of store.listBlobs()) expect((await store.getBlob(blob.hash)).length).toBe(blob.size)
  })

  it('lets exactly one of several processes create a record', async () => {
    const script = await fixture('racer')
    const root = tempDirectory()
    const startAt = String(Date.now() + 500)
    const names = ['a', 'b', 'c']
    const won = await Promise.all(
      names.map(async (name) => JSON.parse(await runFixture(script, [root, name, '150', startAt])) as number[]),
    )
    expect(won.flat().sort((a, b) => a - b)).toEqual(Array.from({ length: 150 }, (_, n) => n))
    const store = await openDatastore(root)
    for (const [index, name] of names.entries()) {
      for (const n of won[index]!) expect(await store.readRecord(`race/${n}`)).toMatchObject({ winner: name })
    }
  })
})
