import { createHash, randomBytes } from 'node:crypto'
import { readFile, rename, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Datastore } from '../datastore/contract.js'
import type { BundleRef } from '../datastore/records.js'
import { type Bundle, bundleName } from './bundle-flow.js'
import type { Core } from './find-core.js'
import { scriptName } from './load-script.js'
import { scriptOf } from './script-form.js'

export interface StoredBundle {
  readonly ref: BundleRef
  /** Folder of the bundle on this machine; two runs of the same code share it. */
  readonly folder: string
  readonly path: string
}

/** Stores a bundle by its content and lays it out on this machine as a file that bodies can load. */
export async function storeBundle(bundle: Bundle, datastore: Datastore): Promise<StoredBundle> {
  const [code, map] = await Promise.all([datastore.putBlob(bundle.code), datastore.putBlob(bundle.map)])
  const ref: BundleRef = { hash: hashOf(bundle), code, map }
  const folder = datastore.scratch('code', ref.hash)
  // In use from now on, for `gc`, which spares what is new and what a run's record names.
  await utimes(folder, new Date(), new Date())
  // The map first: whoever finds the bundle finds its map.
  await writeOnce(join(folder, `${bundleName}.map`), bundle.map)
  await writeOnce(join(folder, bundleName), bundle.code)
  return { ref, folder, path: join(folder, bundleName) }
}

/** Lays a script of the bundle beside it, for bodies; an empty one where it has to be a module. */
export async function storeScript(bundle: Bundle, stored: StoredBundle, core: Core): Promise<void> {
  const path = scriptName(stored.path)
  if (await stat(path).catch(() => undefined)) return
  const entry = join(core.folder, 'dist', 'index.js')
  const script = bundle.pins.every((pin) => pin.path === entry)
    ? await scriptOf(Buffer.from(bundle.code).toString('utf8'), pathToFileURL(entry).href)
    : undefined
  await writeOnce(path, Buffer.from(script ?? ''))
}

/** Covers code, map and the pinned imports. */
export function hashOf({ code, map, pins }: Pick<Bundle, 'code' | 'map' | 'pins'>): string {
  const hash = createHash('sha256')
  for (const part of [code, map, JSON.stringify(pins)]) hash.update(`${part.length}\n`).update(part)
  return hash.digest('hex')
}

/** Whole or not at all, and not again when it is there and unchanged. */
async function writeOnce(path: string, data: Uint8Array): Promise<void> {
  const there = await readFile(path).catch(() => undefined)
  if (there?.equals(data)) return
  const temporary = `${path}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`
  await writeFile(temporary, data)
  await rename(temporary, path)
}
