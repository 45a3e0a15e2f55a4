import { mkdirSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { readArtifact } from '../../src/datastore/artifacts/source.js'
import { openDatastoreSync } from '../../src/datastore/open.js'
import { collectDirectory } from '../../src/gang/context/collect.js'
import { tempDirectory } from '../datastore/helpers.js'

const MB = 1 << 20
const open = () => openDatastoreSync(tempDirectory(), { sync: false })

it('collects files of all sizes by their paths, sorted', async () => {
  const directory = tempDirectory()
  mkdirSync(join(directory, 'rank1/deep'), { recursive: true })
  const files: Record<string, Buffer> = {
    '.hidden': Buffer.from('x'),
    'rank0 ü.txt': Buffer.from('zero'),
    'rank1/deep/model.bin': Buffer.alloc(9 * MB + 1, 'abc'),
    'rank1/empty': Buffer.alloc(0),
  }
  for (const [path, bytes] of Object.entries(files)) writeFileSync(join(directory, path), bytes)
  const store = open()
  const ref = await collectDirectory(store, 'output', directory)
  expect(ref).toMatchObject({ codec: 'cbor', type: 'Object' })
  const read = readArtifact(store, ref, { name: 'output' }) as Record<string, Buffer>
  expect(Object.keys(read)).toEqual(Object.keys(files))
  for (const [path, bytes] of Object.entries(files)) expect(read[path]!.equals(bytes)).toBe(true)
})

it('collects nothing as an empty object', async () => {
  const store = open()
  expect(readArtifact(store, await collectDirectory(store, 'output', tempDirectory()), { name: 'output' })).toEqual({})
})

it('streams a large file', async () => {
  const directory = tempDirectory()
  writeFileSync(join(directory, 'large'), '')
  truncateSync(join(directory, 'large'), 300 * MB)
  const store = open()
  const before = process.memoryUsage().rss
  let most = 0
  const timer = setInterval(() => {
    most = Math.max(most, process.memoryUsage.rss() - before)
  }, 5)
  const { size } = await collectDirectory(store, 'output', directory)
  clearInterval(timer)
  expect(size).toBeGreaterThan(300 * MB)
  expect(most).toBeGreaterThan(0)
  expect(most).toBeLessThan(100 * MB)
})

it('names a directory that is not there', async () => {
  await expect(collectDirectory(open(), 'output', join(tempDirectory(), 'absent'))).rejects.toMatchObject({
    code: 'E_GANG_COLLECT',
    fix: expect.stringContaining('check that the directory exists'),
  })
})
