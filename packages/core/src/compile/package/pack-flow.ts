import { readFile, rename, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import type { BlobRef, Datastore } from '../../datastore/contract.js'
import { keys, type PackageRecord } from '../../datastore/records.js'
import type { Json } from '../../flow/values.js'
import { type BundleText, type PackedFlow, readBundle } from './bundle-text.js'
import type { PackageRef, PackFlowOptions } from './contract.js'
import { each } from './each.js'
import { type Gathered, gather } from './gather.js'
import { thisPlatform } from './host-platform.js'
import { encode, type Manifest, type Template } from './manifest.js'
import { nativesOf } from './natives.js'
import { bytesOf } from './parts.js'
import { foldersOf, projectFolder } from './project-parts.js'
import { bytesFrom, DEFAULT_LIMIT, requireLimit } from './size-limit.js'
import { hasAll, type StoredPart, storePart } from './store-part.js'
import { type PathLiteral, type PlaceOf, pathLiterals, slotsOf } from './template.js'

/** How often the project is looked at anew when something in it vanished meanwhile. */
const TRIES = 3
/** Parts that are read and stored at once. */
const AT_ONCE = 4

/**
 * Stores a flow with all that it needs (its bundle, core, whole packages by dependency, the project's own files) as
 * blobs of the datastore; what is there from an earlier run is not stored again. Throws E_CODE_LIMIT before anything is read,
 * E_CODE_UNREADABLE and E_CODE_CHANGED with the file's name.
 */
export async function packFlow(
  flow: PackedFlow,
  store: Datastore,
  options: PackFlowOptions = {},
  signal?: AbortSignal,
): Promise<PackageRef> {
  const bundle = await readBundle(flow)
  for (let tries = 1; ; tries += 1) {
    try {
      const gathered = await gather(flow, bundle.addons, { ...options, without: foldersOf(store) }, signal)
      requireLimit(gathered.parts, projectFolder(flow.file), bytesFrom(options.limit ?? DEFAULT_LIMIT))
      const packed = await storeAll(flow, bundle, gathered, store, options, signal)
      // A collection may have taken what was found there before the record named it.
      if (tries === TRIES || (await hasAll(store, packed.blobs))) return packed.ref
    } catch (error) {
      if (tries === TRIES || !hasVanished(error)) throw error
    }
  }
}

/** A file that was listed and is no more: an editor's, a program's that runs. */
const hasVanished = (error: unknown): boolean =>
  error instanceof Error && (error.cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT'

async function storeAll(
  flow: PackedFlow,
  bundle: BundleText,
  { parts, base, has, listedAt }: Gathered,
  store: Datastore,
  { run, progress }: PackFlowOptions,
  signal: AbortSignal | undefined,
): Promise<{ readonly ref: PackageRef; readonly blobs: readonly string[] }> {
  const files = parts.reduce((sum, part) => sum + part.files.length, 0)
  const bytes = parts.reduce((sum, part) => sum + bytesOf(part), 0)
  const placeOf = (path: string) => relative(base, path)
  let moved = 0
  const tell = () => progress?.({ phase: 'pack', files, bytes, moved })
  tell()
  const count = (bytes: number) => {
    moved += bytes
    tell()
  }
  const stored: StoredPart[] = []
  await each([...parts.entries()], AT_ONCE, async ([at, part]) => {
    stored[at] = await storePart(part, store, { placeOf, listedAt, moved: count, ...(signal && { signal }) })
  })
  const named: PlaceOf = (path) => (has(path) ? placeOf(path) : undefined)
  const code = await templateOf(bundle.code, 'module', named, store)
  const script = bundle.script === '' ? undefined : await templateOf(bundle.script, 'script', named, store)
  const manifest: Manifest = {
    version: 1,
    flow: placeOf(flow.file),
    core: placeOf(flow.core),
    code,
    map: flow.ref.map,
    ...(script ? { script } : {}),
    parts: stored.map(({ ref }) => ref),
    natives: await nativesOf(parts),
    packedOn: thisPlatform(),
  }
  // Durable, and with it all that was put before.
  const blob = await store.putBlob(await encode(manifest))
  const own = [blob, code.blob, flow.ref.map, ...(script ? [script.blob] : [])].map(({ hash }) => hash)
  const blobs = [...new Set([...own, ...stored.flatMap((part) => part.blobs)])]
  if (run) await keep(store, run, blob, blobs)
  return { ref: { package: blob, files, bytes }, blobs }
}

async function templateOf(
  code: string,
  type: 'module' | 'script',
  placeOf: PlaceOf,
  store: Datastore,
): Promise<Template> {
  const blob = await store.putBlob(Buffer.from(code), { durable: false })
  return { blob, slots: slotsOf(await keptLiterals(code, type, blob.hash, store), placeOf) }
}

/** What parsing found the last time: for a program that is the same it is the same. */
async function keptLiterals(
  code: string,
  type: 'module' | 'script',
  hash: string,
  store: Datastore,
): Promise<readonly PathLiteral[]> {
  const path = join(store.scratch('packed'), `${type}-${hash}.literals.json`)
  try {
    return JSON.parse(await readFile(path, 'utf8')) as PathLiteral[]
  } catch {
    const literals = await pathLiterals(code, type)
    const temporary = `${path}.${process.pid}.tmp`
    await writeFile(temporary, JSON.stringify(literals))
    await rename(temporary, path)
    return literals
  }
}

async function keep(
  store: Datastore,
  { flow, run }: { flow: string; run: string },
  blob: BlobRef,
  blobs: readonly string[],
): Promise<void> {
  const record: PackageRecord = { package: blob, blobs }
  await store.createRecord(keys.package(flow, run, blob.hash), record as unknown as Json)
}
