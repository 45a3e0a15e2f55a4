import { createHash } from 'node:crypto'
import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Datastore } from '../../datastore/contract.js'
import { encode, type FileEntry, type Pack, type PartIndex, type PartRef } from './manifest.js'
import { bytesOf, type Part } from './parts.js'
import { type Group, groupsOf, putBlob, type StoredGroup, storeGroup } from './store-files.js'

/** Milliseconds by which a file's time may be behind the clock. */
const TICK = 20

export interface StoredPart {
  readonly ref: PartRef
  /** Every blob that a copy needs, the index included. */
  readonly blobs: readonly string[]
}

/** What is remembered of the last time, by how the files looked. */
interface Kept extends StoredPart {
  readonly stamp: string
  readonly groups: Readonly<Record<string, StoredGroup>>
}

export interface StorePartOptions {
  /** The place of an absolute path in the copy. */
  placeOf(path: string): string
  /** When the files were listed, milliseconds since 1970. What changed since may look as it did. */
  readonly listedAt: number
  /** Told the bytes of each blob that was not in the datastore before. */
  moved(bytes: number): void
  readonly signal?: AbortSignal
}

/** Stores a part's files as blobs; those that look as they did at the last time are not read again. */
export async function storePart(part: Part, store: Datastore, options: StorePartOptions): Promise<StoredPart> {
  const stamp = stampOf(part, options)
  const name = createHash('sha256')
    .update(JSON.stringify([part.folder, part.name]))
    .digest('hex')
    .slice(0, 32)
  const path = join(store.scratch('packed'), `${name}.json`)
  const kept = await readKept(path)
  if (kept?.stamp === stamp && (await hasAll(store, kept.blobs))) return kept
  const fresh = await storeAnew(part, store, options, kept?.groups ?? {})
  if (part.files.every(({ changedAt }) => changedAt < options.listedAt - TICK)) {
    const temporary = `${path}.${process.pid}-${Math.random().toString(36).slice(2)}.tmp`
    await writeFile(temporary, JSON.stringify({ stamp, ...fresh } satisfies Kept))
    await rename(temporary, path)
  }
  return fresh
}

/** Whether the datastore has all of these blobs. */
export async function hasAll(store: Datastore, blobs: readonly string[]): Promise<boolean> {
  return (await Promise.all(blobs.map((hash) => store.hasBlob(hash)))).every(Boolean)
}

function stampOf(part: Part, { placeOf }: StorePartOptions): string {
  const links = part.links.map(([at, target]) => [placeOf(at), target])
  const shape = [part.name, part.version, part.kind, links, part.folders.map(placeOf)]
  return createHash('sha256').update(JSON.stringify(shape)).update(keyOf(part.files, placeOf)).digest('hex')
}

function keyOf(group: Group, placeOf: (path: string) => string): string {
  const hash = createHash('sha256')
  for (const { at, source, stamp } of group) hash.update(`${JSON.stringify([placeOf(at), source, stamp])}\n`)
  return hash.digest('hex').slice(0, 32)
}

async function readKept(path: string): Promise<Kept | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Kept
  } catch {
    return undefined
  }
}

async function storeAnew(
  part: Part,
  store: Datastore,
  { placeOf, moved, signal }: StorePartOptions,
  known: Kept['groups'],
): Promise<Omit<Kept, 'stamp'>> {
  const files: FileEntry[] = []
  const packs: Pack[] = []
  const groups: Record<string, StoredGroup> = {}
  for (const group of groupsOf(part, placeOf)) {
    signal?.throwIfAborted()
    const key = keyOf(group, placeOf)
    const last = Object.hasOwn(known, key) ? known[key]! : undefined
    const there =
      last !== undefined &&
      (await hasAll(
        store,
        last.packs.map(({ blob }) => blob.hash),
      ))
    const stored = there ? last : await storeGroup(group, store, signal, moved)
    groups[key] = stored
    packs.push(...stored.packs.map((pack) => ({ ...pack, first: files.length })))
    for (const [index, { at, size, executable }] of group.entries()) {
      const hash = stored.hashes[index]!
      files.push(executable ? [placeOf(at), size, hash, 'x'] : [placeOf(at), size, hash])
    }
  }
  const links = part.links.map(([at, target]) => [placeOf(at), target] as const)
  const shape: PartIndex = { files, links, folders: part.folders.map(placeOf), packs }
  const index = await putBlob(store, await encode(shape), signal, moved)
  const { name, version, kind } = part
  const ref = {
    name,
    kind,
    index,
    files: files.length,
    bytes: bytesOf(part),
    ...(version === undefined ? {} : { version }),
  }
  return { ref, blobs: [...new Set([index.hash, ...packs.map(({ blob }) => blob.hash)])], groups }
}
