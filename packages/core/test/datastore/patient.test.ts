import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import type { Datastore } from '../../src/datastore/contract.js'
import { nearScratch } from '../../src/datastore/directory/near-scratch.js'
import { openDirectory } from '../../src/datastore/directory/store.js'
import { patient, silenceOf } from '../../src/datastore/patient.js'

const folder = mkdtempSync(join(tmpdir(), 'gangflow-patient-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** Milliseconds: a busy disk may need some hundred for a record. */
const LIMIT = 800
const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))
const late = {
  code: 'E_DATASTORE_TIMEOUT',
  what: expect.stringMatching(/^the datastore dir:.* has not answered for 0.8 s: /),
}

describe('a store of which nobody waits for ever', () => {
  it('names what hangs, waits less for the next, and serves again once it answers', async () => {
    const real = openDirectory(join(folder, 'store'))
    let wake = () => {}
    const asleep = new Promise<void>((resolve) => (wake = resolve))
    const disk = new Proxy<Datastore>(real, {
      get(target, name: keyof Datastore) {
        if (name === 'readRecord') return (key: string) => asleep.then(() => real.readRecord(key))
        const value = target[name]
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
    const store = patient(disk, LIMIT)
    await expect(store.readRecord('a')).rejects.toMatchObject({
      ...late,
      what: expect.stringMatching(/reading record a$/),
    })
    wake()
    expect(await store.createRecord('a', 1)).toBe(true)
    expect(await store.readRecord('a')).toBe(1)
    await store.close()
  })

  it('does not count the time of who brings or takes the bytes', async () => {
    const store = patient(openDirectory(join(folder, 'slow')), LIMIT)
    async function* slow() {
      for (let part = 0; part < 2; part += 1) {
        await sleep(LIMIT + 200)
        yield Buffer.from(`part ${part} `)
      }
    }
    const { hash } = await store.putBlob(slow())
    let text = ''
    for await (const piece of store.streamBlob(hash)) {
      text += Buffer.from(piece).toString()
      await sleep(LIMIT + 200)
    }
    expect(text).toBe('part 0 part 1 ')
    expect(() => store.readRecordSync('../x')).toThrow(expect.objectContaining({ code: 'E_DATASTORE_KEY' }))
    await expect(store.readRecord('../x')).rejects.toMatchObject({ code: 'E_DATASTORE_KEY' })
  })

  it('takes its limit from the environment, and refuses what is none', () => {
    expect(silenceOf({})).toBe(120_000)
    expect(silenceOf({ GANGFLOW_DATASTORE_TIMEOUT: '1.5' })).toBe(1_500)
    expect(() => silenceOf({ GANGFLOW_DATASTORE_TIMEOUT: 'soon' })).toThrow(
      expect.objectContaining({ code: 'E_OPTION' }),
    )
  })

  it('keeps spools of a store on a network disk in a place of its own on this machine', () => {
    const place = nearScratch('/nfs/store', [join(folder, 'absent'), folder])
    expect(place).toMatch(new RegExp(`^${folder}/gangflow-\\d+/[0-9a-f]{16}$`))
    expect(nearScratch('/nfs/other', [folder])).not.toBe(place)
  })
})
