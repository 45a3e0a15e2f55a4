import { createHash } from 'node:crypto'
import { closeSync, constants, existsSync, openSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { artifactSource } from '../../packages/core/src/datastore/artifacts/source.js'
import { logProcesses, readLog } from '../../packages/core/src/datastore/logs/read.js'
import { openDatastore } from '../../packages/core/src/datastore/open.js'
import { keys, type LogChunkRecord } from '../../packages/core/src/datastore/records.js'
import {
  cleanUp,
  doneOf,
  gangFlow,
  parentOf,
  runFlowGang,
  slack,
  startGang,
  until,
  verdictOf,
} from '../support/gang.js'

afterAll(cleanUp)

const addressOf = (run: string) => ({ flow: 'Gang', run, step: 'multi', task: '2', attempt: 0 })
/** Says 100,000 lines as fast as it can. */
const flood = `import { writeSync } from 'node:fs'
let text = ''
for (let n = 0; n < 100_000; n++) text += 'line ' + n + '\\n'
for (let at = 0; at < text.length; ) at += writeSync(1, text.slice(at, at + 60_000))
`

describe('a gang whose hosts do not have the datastore', () => {
  it('reads and leaves large artifacts and whole logs in it', async () => {
    const file = gangFlow(
      `
    const { createHash } = await import('node:crypto')
    const node = p.nodeIndex
    const mounts = readFileSync('/proc/self/mounts', 'utf8')
    const hidden = (name: string) => mounts.includes('/.gangflow/' + name + ' tmpfs ro')
    const flood = await p.start([node], { argv: [process.execPath, 'flood.mjs'], name: 'flood', show: false })
    const weights = createHash('sha256').update(this.weights as any).digest('hex')
    this.blind = ['records', 'blobs', 'tmp', 'scratch/spool'].every(hidden)
    if (node === 0) this.model = Buffer.alloc(300 << 20, 'model')
    this.out = { node, weights, small: (this.small as any).length }
    for (let n = 0; n < 2000; n++) console.log('body ' + n)
    await flood.ended`,
    )
    writeFileSync(join(file, '../flood.mjs'), flood)
    const { gang, outcome } = await runFlowGang(file, {
      apart: true,
      given: { weights: { megabytes: 40 }, small: { megabytes: 0 } },
    })
    const done = doneOf(outcome, gang)
    const store = await openDatastore(join(gang.folder, '.gangflow'))
    const weights = createHash('sha256')
      .update(Buffer.alloc(40 << 20, 'weights'))
      .digest('hex')
    for (const { node, artifacts } of done.nodes!) {
      const source = artifactSource(store, artifacts)
      expect(source.read('blind')).toBe(true)
      expect(source.read('out')).toEqual({ node, weights, small: 0 })
    }
    const model = artifactSource(store, done.artifacts).read('model') as Uint8Array
    expect(Buffer.alloc(300 << 20, 'model').equals(model)).toBe(true)
    const address = addressOf(gang.run)
    expect((await logProcesses(store, address)).map(({ node, process }) => `${node} ${process}`)).toEqual(
      [0, 1, 2, 3].flatMap((node) => [`${node} body`, `${node} flood`]),
    )
    for (const node of [0, 1, 2, 3]) {
      for (const [process, word, count] of [
        ['body', 'body', 2000],
        ['flood', 'line', 100_000],
      ] as const) {
        let next = 0
        let wrong = 0
        for await (const { text } of readLog(store, address, { node, process })) {
          if (text !== `${word} ${next++}`) wrong += 1
        }
        expect([node, process, next, wrong]).toEqual([node, process, count, 0])
      }
    }
    // One fetch served the four, and what they sent is where it was sent from.
    const cached = readdirSync(join(gang.folder, 'apart/cache/blobs'), { recursive: true }).map(String)
    expect(cached.filter((name) => name.length > 60)).toHaveLength(3)
    expect(readdirSync(join(gang.folder, 'apart/cache/tmp'))).toEqual([])
    expect(existsSync(join(gang.folder, 'apart/records'))).toBe(false)
    await store.close()
  })

  it('loses nothing when its connections to the datastore break again and again', async () => {
    const file = gangFlow(`
    const node = p.nodeIndex
    for (let round = 0; round < 3; round++) {
      for (let n = 0; n < 5000; n++) console.log('line ' + (round * 5000 + n))
      await sleep(700)
    }
    this.out = Buffer.alloc(24 << 20, 'of node ' + node)`)
    const { gang, outcome } = await runFlowGang(file, { apart: true, cutEvery: 150 })
    const done = doneOf(outcome, gang)
    expect(gang.lines.filter(({ cut }) => cut !== undefined && cut > 0).length).toBeGreaterThan(5)
    const store = await openDatastore(join(gang.folder, '.gangflow'))
    for (const { node, artifacts } of done.nodes!) {
      const out = artifactSource(store, artifacts).read('out') as Uint8Array
      expect(Buffer.alloc(24 << 20, `of node ${node}`).equals(out)).toBe(true)
      let next = 0
      for await (const { text } of readLog(store, addressOf(gang.run), { node })) {
        if (text === `line ${next}`) next += 1
      }
      expect(next).toBe(15_000)
    }
    await store.close()
  })

  it('is told in time, and by name, that the datastore hangs', async () => {
    const file = gangFlow(`
    if (p.nodeIndex === 1) { console.log('reading'); this.out = (this.weights as any).length }
    await p.barrier()`)
    const gang = await startGang(file, {
      apart: true,
      size: 2,
      hangs: 'weights',
      given: { weights: { megabytes: 2 } },
      timeouts: { launcher: 1_500 * slack },
    })
    const verdict = verdictOf(await gang.outcome, gang)
    const [fifo] = readdirSync(join(gang.folder, '.gangflow/blobs'), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFIFO())
      .map((entry) => join(entry.parentPath, entry.name))
    // Whoever waits for it may end.
    closeSync(openSync(fifo!, constants.O_RDWR | constants.O_NONBLOCK))
    await gang.ended
    expect(verdict).toMatchObject({ cause: 'infrastructure', code: 'E_DATASTORE_TIMEOUT', first: { node: 1 } })
    expect(verdict.summary).toMatch(/^the datastore dir:.* has not answered for .* s: reading blob /)
  })

  it.each([false, true])(
    'keeps what a killed agent had relayed; its host out of reach afterwards: %s',
    async (lost) => {
      const file = gangFlow(`
    console.log('pid', process.pid)
    for (let n = 0; n < 500; n++) console.log('said ' + n)
    await sleep(60_000)`)
      const gang = await startGang(file, { apart: true, outOfReach: lost })
      const store = await openDatastore(join(gang.folder, '.gangflow'))
      const address = addressOf(gang.run)
      const body = Number((await gang.line(/^2 body pid (\d+)/))[1])
      // Seconds after it was said it is stored, while all of them run.
      const stored = (chunk = 0): number => {
        const record = store.readRecordSync(keys.logChunk(address, 1, 2, 'body', chunk)) as LogChunkRecord | undefined
        return record === undefined ? 0 : record.lines + stored(chunk + 1)
      }
      await until(() => stored() === 501, 'the chunks of its log', 20_000 * slack)
      process.kill(parentOf(parentOf(body)), 'SIGKILL')
      const verdict = verdictOf(await gang.outcome, gang)
      await gang.ended
      expect(verdict).toMatchObject({ cause: 'infrastructure', first: { kind: 'agent', node: 2, signal: 'SIGKILL' } })
      expect(verdict.missing).toEqual(lost ? ['the last output of node 2 (here): the host does not answer'] : undefined)
      const lines = []
      for await (const { text } of readLog(store, address, { node: 2 })) lines.push(text)
      expect(lines).toEqual([`pid ${body}`, ...Array.from({ length: 500 }, (_, n) => `said ${n}`)])
      await store.close()
    },
  )
})
