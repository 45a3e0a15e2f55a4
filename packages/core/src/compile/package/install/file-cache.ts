import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { chmod, lstat, mkdir, open, rename, rm, utimes } from 'node:fs/promises'
import { uptime } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import type { Datastore } from '../../../datastore/contract.js'
import { GangflowError } from '../../../errors/base.js'
import { each } from '../each.js'
import type { FileEntry, Pack, PartIndex } from '../manifest.js'
import type { CodeCache } from './cache-folder.js'

/** The time that all files have: who writes to one gives it another. Seconds since 1970. */
export const UNTOUCHED = 1_000_000_000

/** Blobs that are fetched at once; each is at most 8 MiB, unpacked. */
const AT_ONCE = 8

export const cachedPath = ({ files }: CodeCache, [, , hash, mode]: FileEntry): string =>
  join(files, hash.slice(0, 2), `${hash.slice(2)}${mode ?? ''}`)

/** When this host was started, milliseconds since 1970: what was not on disk then may be lost. */
const startedAt = (): number => Date.now() - uptime() * 1000

/**
 * Whether a file has the content that it should have: by its size and time, and by its hash once after each start of
 * the host. `since`: milliseconds since 1970; one that was not looked at since then is read.
 */
export async function isSound(path: string, entry: FileEntry, since = startedAt()): Promise<boolean> {
  const facts = await lstat(path).catch(() => undefined)
  if (facts?.isFile() !== true || facts.size !== entry[1] || facts.mtimeMs !== UNTOUCHED * 1000) return false
  if (facts.ctimeMs > since) return true
  const hash = createHash('sha256')
  try {
    for await (const piece of createReadStream(path, { highWaterMark: 1 << 18 })) hash.update(piece as Buffer)
  } catch {
    return false
  }
  if (hash.digest('hex') !== entry[2]) return false
  // Its facts have changed: it was looked at.
  await utimes(path, UNTOUCHED, UNTOUCHED)
  return true
}

/** Fetches what the cache lacks of these files; every file of them is then there, verified by its hash. */
export async function fetchFiles(
  cache: CodeCache,
  store: Datastore,
  indexes: readonly PartIndex[],
  signal: AbortSignal,
  came: (bytes: number) => void,
): Promise<void> {
  const jobs: (() => Promise<void>)[] = []
  for (const index of indexes) {
    const missing = new Set<number>()
    await each([...index.files.entries()], 16, async ([at, entry]) => {
      signal.throwIfAborted()
      if (!(await isSound(cachedPath(cache, entry), entry))) missing.add(at)
      came(0)
    })
    for (const packs of packsWith(index, missing))
      jobs.push(() => unpack(cache, { index, missing, packs }, (pack) => bytesOf(store, pack, signal, came)))
  }
  await each(jobs, AT_ONCE, (job) => job())
}

async function bytesOf(
  store: Datastore,
  { blob, gzip }: Pack,
  signal: AbortSignal,
  came: (bytes: number) => void,
): Promise<Uint8Array> {
  signal.throwIfAborted()
  const bytes = await store.getBlob(blob.hash, { signal })
  came(blob.size)
  return gzip ? await promisify(gunzip)(bytes) : bytes
}

interface Wanted {
  readonly index: PartIndex
  readonly missing: ReadonlySet<number>
  readonly packs: readonly Pack[]
}

async function unpack(
  cache: CodeCache,
  { index, missing, packs }: Wanted,
  read: (pack: Pack) => Promise<Uint8Array>,
): Promise<void> {
  const [{ first, count }] = packs as [Pack]
  if (count === 1) {
    const pieces = async function* () {
      for (const pack of packs) yield await read(pack)
    }
    return writeFile(cache, index.files[first]!, pieces())
  }
  for (const pack of packs) {
    const bytes = await read(pack)
    let at = 0
    for (const [offset, entry] of index.files.slice(first, first + count).entries()) {
      const own = bytes.subarray(at, at + entry[1])
      at += entry[1]
      if (missing.has(first + offset)) await writeFile(cache, entry, [own])
    }
  }
}

/** The packs to fetch; the pieces of a large file together, in their order. */
function packsWith({ packs }: PartIndex, missing: ReadonlySet<number>): Pack[][] {
  const jobs = new Map<number, Pack[]>()
  for (const pack of packs) {
    const wanted = Array.from({ length: pack.count }, (_, at) => pack.first + at).some((at) => missing.has(at))
    if (wanted) jobs.set(pack.first, [...(jobs.get(pack.first) ?? []), pack])
  }
  return [...jobs.values()]
}

/** Whole and verified, or not at all. */
async function writeFile(
  cache: CodeCache,
  entry: FileEntry,
  pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<void> {
  const [place, size, wanted, mode] = entry
  const temporary = join(cache.temp, `file-${process.pid}-${Math.random().toString(36).slice(2)}`)
  const hash = createHash('sha256')
  const handle = await open(temporary, 'wx', 0o600)
  try {
    let written = 0
    try {
      for await (const piece of pieces) {
        hash.update(piece)
        await handle.writeFile(piece)
        written += piece.length
      }
    } finally {
      await handle.close()
    }
    if (written !== size || hash.digest('hex') !== wanted) throw broken(place)
    await utimes(temporary, UNTOUCHED, UNTOUCHED)
    await chmod(temporary, mode === 'x' ? 0o555 : 0o444)
    const path = cachedPath(cache, entry)
    await rename(temporary, path).catch(async () => {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 })
      await rename(temporary, path)
    })
  } finally {
    await rm(temporary, { force: true })
  }
}

const broken = (place: string) =>
  new GangflowError({
    code: 'E_CODE_BROKEN',
    what: `the package of the flow does not have what it says of ${place}`,
    fix: 'run it again; if it stays, remove the packed/ folder in the scratch directory of the datastore',
  })
