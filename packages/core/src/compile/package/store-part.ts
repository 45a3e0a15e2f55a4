import { createHash } from 'node:crypto'
import { type FileHandle, open, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import type { BlobRef, Datastore } from '../../datastore/contract.js'
import { GangflowError, messageOf } from '../../errors/base.js'
import { encode, type FileEntry, type Pack, type PartIndex, type PartRef, PIECE } from './manifest.js'
import { bytesOf, type Part, type PartFile } from './parts.js'

/** A pack of small files ends above this many bytes. */
const PACK = 1 << 20
/** Files from this size on are packed alone. */
const LARGE = 256 << 10
/** Bytes that are compressed to see whether that is of use. */
const SAMPLE = 64 << 10
/** On average this many small files of the project are in one pack: a change sends all of them. */
const PROJECT_PACK = 8

export interface StoredPart {
  readonly ref: PartRef
  /** Every blob that a copy needs, the index included. */
  readonly blobs: readonly string[]
  /** Bytes that were not in the datastore before. */
  readonly moved: number
}

interface Kept extends Omit<StoredPart, 'moved'> {
  readonly stamp: string
}

export interface StorePartOptions {
  /** The place of an absolute path in the copy. */
  placeOf(path: string): string
  readonly signal?: AbortSignal
}

/** Stores a part's files as blobs; one whose files look as they did at the last time is not read again. */
export async function storePart(part: Part, store: Datastore, options: StorePartOptions): Promise<StoredPart> {
  const stamp = stampOf(part, options)
  const name = createHash('sha256')
    .update(JSON.stringify([part.folder, part.name]))
    .digest('hex')
    .slice(0, 32)
  const path = join(store.scratch('packed'), `${name}.json`)
  const kept = await readKept(path)
  if (kept?.stamp === stamp && (await hasAll(store, kept.blobs))) return { ...kept, moved: 0 }
  const stored = await storeAnew(part, store, options)
  const { ref, blobs } = stored
  const temporary = `${path}.${process.pid}-${Math.random().toString(36).slice(2)}.tmp`
  await writeFile(temporary, JSON.stringify({ stamp, ref, blobs } satisfies Kept))
  await rename(temporary, path)
  return stored
}

/** Whether the datastore has all of these blobs. */
export async function hasAll(store: Datastore, blobs: readonly string[]): Promise<boolean> {
  return (await Promise.all(blobs.map((hash) => store.hasBlob(hash)))).every(Boolean)
}

function stampOf(part: Part, { placeOf }: StorePartOptions): string {
  const hash = createHash('sha256')
  const say = (fact: unknown) => hash.update(`${JSON.stringify(fact)}\n`)
  say([part.name, part.version, part.kind])
  for (const { at, source, stamp } of part.files) say([placeOf(at), source, stamp])
  for (const [at, target] of part.links) say([placeOf(at), target])
  for (const folder of part.folders) say(placeOf(folder))
  return hash.digest('hex')
}

async function readKept(path: string): Promise<Kept | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Kept
  } catch {
    return undefined
  }
}

async function storeAnew(part: Part, store: Datastore, options: StorePartOptions): Promise<StoredPart> {
  const { placeOf, signal } = options
  const entries: FileEntry[] = []
  const packs: Pack[] = []
  let moved = 0
  const put = async (bytes: Uint8Array, first: number, count: number): Promise<void> => {
    const pressed = await compressed(bytes)
    const { ref, fresh } = await putBlob(store, pressed ?? bytes, signal)
    if (fresh) moved += ref.size
    packs.push({ blob: ref, ...(pressed ? { gzip: true } : {}), first, count })
  }
  let held: Buffer[] = []
  const flush = async () => {
    if (held.length > 0) await put(Buffer.concat(held), entries.length - held.length, held.length)
    held = []
  }
  for (const file of part.files) {
    signal?.throwIfAborted()
    const place = placeOf(file.at)
    const add = (hash: string) =>
      entries.push(file.executable ? [place, file.size, hash, 'x'] : [place, file.size, hash])
    if (file.size < LARGE) {
      const bytes = await readSmall(file)
      add(sha256(bytes))
      held.push(bytes)
      if (held.reduce((sum, one) => sum + one.length, 0) > PACK || endsPack(part, place)) await flush()
      continue
    }
    await flush()
    const first = entries.length
    const hash = createHash('sha256')
    for await (const piece of piecesOf(file)) {
      hash.update(piece)
      await put(piece, first, 1)
    }
    add(hash.digest('hex'))
  }
  await flush()
  const links = part.links.map(([at, target]) => [placeOf(at), target] as const)
  const index: PartIndex = { files: entries, links, folders: part.folders.map(placeOf), packs }
  const { ref, fresh } = await putBlob(store, await encode(index), signal)
  if (fresh) moved += ref.size
  const { name, version, kind } = part
  return {
    ref: {
      name,
      kind,
      index: ref,
      files: entries.length,
      bytes: bytesOf(part),
      ...(version === undefined ? {} : { version }),
    },
    blobs: [ref.hash, ...packs.map(({ blob }) => blob.hash)],
    moved,
  }
}

/** Gzip'd, or undefined where that is of no use; of much, a sample from the middle says so. */
async function compressed(bytes: Uint8Array): Promise<Uint8Array | undefined> {
  const press = promisify(gzip)
  if (bytes.length > LARGE) {
    const at = bytes.length >> 1
    const sample = bytes.subarray(at, at + SAMPLE)
    if ((await press(sample, { level: 1 })).length > sample.length * 0.95) return undefined
  }
  const pressed = await press(bytes, { level: 5 })
  return pressed.length < bytes.length * 0.95 ? pressed : undefined
}

/** By the place alone, so that a change of a file moves no border: neither does one that comes or goes. */
const endsPack = (part: Part, place: string): boolean =>
  part.kind === 'project' && createHash('sha256').update(place).digest()[0]! % PROJECT_PACK === 0

async function putBlob(store: Datastore, bytes: Uint8Array, signal: AbortSignal | undefined) {
  const there = await store.hasBlob(sha256(bytes))
  const ref: BlobRef = await store.putBlob(bytes, { durable: false, ...(signal && { signal }) })
  return { ref, fresh: !there }
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

async function readSmall(file: PartFile): Promise<Buffer> {
  const bytes = await readFile(file.source).catch(unreadable(file))
  // What was written meanwhile (a log) is not part of it; what is missing is.
  if (bytes.length < file.size) throw changed(file)
  return bytes.length > file.size ? bytes.subarray(0, file.size) : bytes
}

async function* piecesOf(file: PartFile): AsyncGenerator<Buffer> {
  const handle: FileHandle = await open(file.source, 'r').catch(unreadable(file))
  try {
    for (let at = 0; at < file.size; ) {
      const wanted = Math.min(PIECE, file.size - at)
      const piece = Buffer.allocUnsafe(wanted)
      let have = 0
      while (have < wanted) {
        const { bytesRead } = await handle.read(piece, have, wanted - have, at + have)
        if (bytesRead === 0) throw changed(file)
        have += bytesRead
      }
      at += wanted
      yield piece
    }
  } finally {
    await handle.close()
  }
}

const changed = ({ source }: PartFile) =>
  new GangflowError({
    code: 'E_CODE_CHANGED',
    what: `${source} was cut short while it was read for the hosts`,
    fix: 'run it again, or leave the file out: name it in .gangflowignore',
  })

const unreadable =
  ({ source }: PartFile) =>
  (cause: unknown): never => {
    throw new GangflowError(
      {
        code: 'E_CODE_UNREADABLE',
        what: `${source} cannot be read for the hosts: ${messageOf(cause)}`,
        fix: 'let it be read, or leave it out: name it in .gangflowignore',
      },
      { cause },
    )
  }
