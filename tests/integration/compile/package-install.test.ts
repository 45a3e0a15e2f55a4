import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openCodeCache } from '../../../packages/core/src/compile/package/install/cache-folder.js'
import { collectCode } from '../../../packages/core/src/compile/package/install/collect.js'
import { isSound } from '../../../packages/core/src/compile/package/install/file-cache.js'
import { installPackage } from '../../../packages/core/src/compile/package/install/install-package.js'
import type { Datastore } from '../../../packages/core/src/datastore/contract.js'
import { collectGarbage } from '../../../packages/core/src/datastore/gc/collect.js'
import { project } from '../../../packages/core/test/compile/project.js'
import { ask, type Delivery, flow, flowProject, install, pack, repository } from './delivery.js'

const signal = () => AbortSignal.timeout(120_000)

const shop = () =>
  flowProject({
    'flow.ts': flow(
      `[one, readFileSync('words.txt', 'utf8')]`,
      `import { readFileSync } from 'node:fs'\nimport one from 'one'`,
    ),
    'words.txt': 'a few words',
    'node_modules/one/package.json': '{ "name": "one", "version": "1.0.0" }',
    'node_modules/one/index.js': `module.exports = 'one'`,
  })

/** The store with a count of what is read of it. */
function counted(store: Datastore): { store: Datastore; bytes(): number; blobs(): number } {
  let bytes = 0
  let blobs = 0
  const getBlob: Datastore['getBlob'] = async (hash, options) => {
    const blob = await store.getBlob(hash, options)
    bytes += blob.length
    blobs += 1
    return blob
  }
  const spied = new Proxy(store, {
    get: (target, name) => (name === 'getBlob' ? getBlob : Reflect.get(target, name, target)),
  })
  return { store: spied, bytes: () => bytes, blobs: () => blobs }
}

/** A process that installs a package, for what only processes can show. */
async function installer(delivery: Delivery): Promise<(slow?: boolean, before?: readonly string[]) => ChildProcess> {
  const made = project({
    'install.ts': `import { installPackage } from '${repository}packages/core/src/compile/package/install/install-package.ts'
import { openDatastore } from '${repository}packages/core/src/datastore/open.ts'
const [location, ref, cache, slow] = process.argv.slice(2)
const store = await openDatastore(location)
const getBlob = store.getBlob.bind(store)
let got = 0
store.getBlob = async (...args) => {
  if (slow === 'slow' && ++got > 8) { process.stdout.write('busy'); await new Promise((settle) => setTimeout(settle, 60_000)) }
  return getBlob(...args)
}
let moved = 0
const progress = (told) => { moved = told.moved }
try {
  const local = await installPackage(store, JSON.parse(ref), cache, new AbortController().signal, { progress })
  console.log(JSON.stringify({ ...local, moved }))
} catch (error) {
  console.log(JSON.stringify({ error }))
}
process.exit()`,
  })
  const outfile = made.path('install.mjs')
  await build({
    entryPoints: [made.path('install.ts')],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    external: ['acorn', 'esbuild'],
    logLevel: 'error',
  })
  return (slow = false, before = []) => {
    const words = [
      ...before,
      process.execPath,
      outfile,
      delivery.store.location,
      JSON.stringify(delivery.ref),
      delivery.cache,
      slow ? 'slow' : '',
    ]
    const child = spawn(words[0]!, words.slice(1), { stdio: ['ignore', 'pipe', 'inherit'] })
    onTestFinished(() => void child.kill('SIGKILL'))
    return child
  }
}

interface Said {
  readonly bundle: string
  readonly moved: number
  readonly error?: unknown
}

async function output(child: ChildProcess): Promise<Said> {
  let text = ''
  for await (const piece of child.stdout!) text += piece
  return JSON.parse(text)
}

const failure = async (child: ChildProcess): Promise<unknown> => (await output(child)).error

/** Every regular file below, with its content. */
function filesIn(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true } as { withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
}

describe('an install on a host', () => {
  it('fetches what is new, and nothing twice', async () => {
    const made = shop()
    const delivery = await pack(made)
    const first = counted(delivery.store)
    await install({ ...delivery, store: first.store })
    const second = counted(delivery.store)
    await install({ ...delivery, store: second.store })
    // The manifest alone.
    expect(second.blobs()).toBe(1)
    made.write({ 'words.txt': 'other words' })
    let moved = 0
    const ref = await delivery.again({
      progress: (told) => {
        moved = told.moved
      },
    })
    // The file and the index of the project.
    expect(moved).toBeGreaterThan(0)
    expect(moved).toBeLessThan(2000)
    const third = counted(delivery.store)
    let came = 0
    const local = await installPackage(third.store, ref, delivery.cache, signal(), {
      progress: (told) => {
        came = told.moved
      },
    })
    expect(came).toBeGreaterThan(0)
    expect(came).toBeLessThan(300)
    expect(third.bytes()).toBeLessThan(first.bytes() / 4)
    expect(await ask(local)).toEqual(['one', 'other words'])
    expect(await delivery.again()).toEqual(ref)
  })

  it('is made by one process for all of the host, also when that one is killed', async () => {
    const delivery = await pack(shop())
    const start = await installer(delivery)
    const doomed = start(true)
    await new Promise((resolve) => doomed.stdout!.once('data', resolve))
    const waiting = [start(), start(), start()].map(output)
    doomed.kill('SIGKILL')
    const locals = await Promise.all(waiting)
    expect(new Set(locals.map(({ bundle }) => bundle)).size).toBe(1)
    expect(locals.filter(({ moved }) => moved > 0)).toHaveLength(1)
    expect(readdirSync(join(delivery.cache, 'trees')).sort()).toEqual([
      expect.stringMatching(/^[0-9a-f]{32}\.1$/),
      'package.json',
    ])
    expect(readdirSync(join(delivery.cache, 'locks'))).toEqual([])
  })

  it('notices what was changed on the disk, in what it keeps and in a copy', async () => {
    const delivery = await pack(shop())
    const first = await install(delivery)
    const kept = filesIn(join(delivery.cache, 'files')).find(
      (path) => readFileSync(path, 'utf8') === `module.exports = 'one'`,
    )!
    chmodSync(kept, 0o644)
    writeFileSync(kept, `module.exports = 'two'`)
    const second = await install(delivery)
    expect(second.bundle).not.toBe(first.bundle)
    expect(await ask(second)).toEqual(['one', 'a few words'])
    // With the time that it had: seen once the host has started anew.
    const words = join(second.file, '../words.txt')
    const { atime, mtime } = statSync(words)
    writeFileSync(words, 'a few lords')
    utimesSync(words, atime, mtime)
    const entry = ['words.txt', 11, createHash('sha256').update('a few words').digest('hex')] as const
    expect(await isSound(words, entry)).toBe(true)
    expect(await isSound(words, entry, Date.now() + 1000)).toBe(false)
    writeFileSync(words, 'a few words')
    utimesSync(words, atime, mtime)
    expect(await isSound(words, entry, Date.now() + 1000)).toBe(true)
  })

  it('brings large files in pieces, and files that are the same once', async () => {
    const made = shop()
    const large = randomBytes(20 << 20)
    made.write({ 'large.bin': large, 'data/again.bin': large, 'empty.txt': '', 'tool.sh': '#!/bin/sh\necho ran' })
    chmodSync(made.path('tool.sh'), 0o755)
    const delivery = await pack(made)
    const local = await install(delivery)
    const at = (name: string) => join(local.file, '..', name)
    expect(readFileSync(at('large.bin')).equals(large)).toBe(true)
    expect(readFileSync(at('data/again.bin')).equals(large)).toBe(true)
    expect(readFileSync(at('empty.txt'), 'utf8')).toBe('')
    expect(execFileSync(at('tool.sh'), { encoding: 'utf8' })).toBe('ran\n')
    const sizes = filesIn(join(delivery.cache, 'files')).map((path) => statSync(path).size)
    expect(sizes.filter((size) => size === large.length)).toHaveLength(1)
    for await (const { size } of delivery.store.listBlobs()) expect(size).toBeLessThan(9 << 20)
  })

  it('gives each copy its own files of the project, and shares those of packages', async () => {
    const delivery = await pack(shop())
    const first = await install(delivery)
    expect(statSync(join(first.file, '../node_modules/one/index.js'))).toMatchObject({ nlink: 2, mode: 0o100444 })
    appendFileSync(join(first.file, '../words.txt'), ' more')
    writeFileSync(join(first.file, '../result.txt'), 'a result')
    const second = await install(delivery)
    expect(await ask(second)).toEqual(['one', 'a few words'])
    expect(existsSync(join(second.file, '../result.txt'))).toBe(false)
    expect(readFileSync(join(first.file, '../words.txt'), 'utf8')).toBe('a few words more')
  })

  it('refuses a directory that others may write, and repairs one that they may read', async () => {
    const delivery = await pack(shop())
    mkdirSync(delivery.cache)
    chmodSync(delivery.cache, 0o777)
    await expect(install(delivery)).rejects.toMatchObject({
      code: 'E_CODE_CACHE',
      what: expect.stringContaining('others may write'),
    })
    chmodSync(delivery.cache, 0o755)
    await install(delivery)
    expect(statSync(delivery.cache).mode & 0o777).toBe(0o700)
  })

  it.each([
    ['size=64k,mode=700', 'the disk is full'],
    ['ro,mode=700', 'the disk is read-only'],
  ])('on a disk with %s says that %s', async (options, why) => {
    const delivery = await pack(shop())
    mkdirSync(delivery.cache)
    const start = await installer(delivery)
    const mounted = `mount -t tmpfs -o ${options} none '${delivery.cache}' && exec "$0" "$@"`
    expect(await failure(start(false, ['unshare', '--map-root-user', '--mount', 'sh', '-c', mounted]))).toMatchObject({
      code: 'E_CODE_CACHE',
      what: expect.stringContaining(why),
    })
  })

  it('removes what was not used for long, and no more', async () => {
    const made = shop()
    const delivery = await pack(made)
    const old = await install(delivery)
    made.write({ 'words.txt': 'other words' })
    const young = await install({ ...delivery, ref: await delivery.again() })
    const cache = await openCodeCache(delivery.cache)
    const used = join(old.bundle, '../../used')
    utimesSync(used, 1_000, 1_000)
    await collectCode(cache, { keepMs: 60_000 })
    // Not twice a day.
    expect(existsSync(old.bundle)).toBe(true)
    await collectCode(cache, { keepMs: 60_000, everyMs: 0 })
    expect(existsSync(old.bundle)).toBe(false)
    expect(await ask(young)).toEqual(['one', 'other words'])
    const count = filesIn(cache.files).length
    await collectCode(cache, { keepMs: 0, everyMs: 0 })
    expect(filesIn(cache.files).length).toBeLessThan(count)
    expect(await ask(await install(delivery))).toEqual(['one', 'a few words'])
  })

  it('has its blobs for as long as the record of its run', async () => {
    const delivery = await pack(shop(), 'flow.ts', { run: { flow: 'Shop', run: '1' } })
    await delivery.store.putRecord('flows/Shop/1/run', { version: 1, startedAt: 1, bundle: { hash: 'none' } })
    await collectGarbage(delivery.store, { keep: 1, graceMs: -60_000 })
    await install(delivery)
    await collectGarbage(delivery.store, { keep: 0, graceMs: -60_000 })
    rmSync(delivery.cache, { recursive: true })
    await expect(install(delivery)).rejects.toMatchObject({ code: 'E_DATASTORE_BLOB_MISSING' })
    // What was remembered of the last time is not believed when the blobs are gone.
    await install({ ...delivery, ref: await delivery.again() })
  })
})
