import { existsSync, statSync } from 'node:fs'
import { dirname, isAbsolute, join, resolve } from 'node:path'
import { GangflowError } from '../errors/base.js'
import type { Datastore } from './contract.js'
import { type DirectoryOptions, openDirectory } from './directory/store.js'
import { type Around, patient, silenceOf } from './patient.js'
import { openRelay } from './relay/body-store.js'

export interface OpenOptions extends DirectoryOptions {
  /** Has each synchronous call watched from outside. */
  readonly around?: Around
}

/**
 * Opens a datastore: `dir:/abs/path`, a plain path (relative to the working directory), or what `Datastore.location`
 * gave; `relay:/abs/path.sock`, what another process of this host serves there. Nothing is made before the first write.
 * Throws E_DATASTORE_SHARED for a directory that others may write. What the disk does not get on with for 120 s (seconds in
 * `GANGFLOW_DATASTORE_TIMEOUT`) fails with E_DATASTORE_TIMEOUT.
 */
export async function openDatastore(location: string, options: OpenOptions = {}): Promise<Datastore> {
  return openDatastoreSync(location, options)
}

/** As `openDatastore`: no store that there is needs waiting to be opened. */
export function openDatastoreSync(location: string, options: OpenOptions = {}): Datastore {
  if (location.startsWith('relay:/')) return openRelay(location.slice('relay:'.length))
  const { path, ...flags } = parseLocation(location)
  const { around, ...others } = options
  return patient(openDirectory(path, { ...flags, ...others }), silenceOf(), around)
}

/** `.gangflow/` beside the package.json nearest to the flow file (or directory), else beside the file. */
export function defaultDatastore(flowFile: string): string {
  const given = resolve(flowFile)
  const start = statSync(given, { throwIfNoEntry: false })?.isDirectory() ? given : dirname(given)
  for (let folder = start; ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'package.json'))) return `dir:${join(folder, '.gangflow')}`
    if (dirname(folder) === folder) return `dir:${join(start, '.gangflow')}`
  }
}

function parseLocation(location: string): { path: string } & DirectoryOptions {
  const scheme = /^([a-z][a-z0-9+]+):/.exec(location)?.[1]
  if (scheme !== undefined && scheme !== 'dir') {
    throw new GangflowError({
      code: 'E_DATASTORE_LOCATION',
      what: `no datastore is known for '${location}'`,
      fix: 'give a directory: a path, or dir:/absolute/path',
    })
  }
  const text = scheme === undefined ? location : location.slice('dir:'.length)
  const flags = /\?((?:shared|nosync)(?:,(?:shared|nosync))*)$/.exec(text)
  const path = flags ? text.slice(0, flags.index) : text
  if (path === '' || path.includes('\0') || (scheme === 'dir' && !isAbsolute(path))) {
    throw new GangflowError({
      code: 'E_DATASTORE_LOCATION',
      what: `'${location}' names no datastore`,
      fix: 'give a directory: a path, or dir:/absolute/path',
    })
  }
  const set = new Set(flags?.[1]?.split(','))
  return {
    path: resolve(path),
    ...(set.has('shared') ? { shared: true } : {}),
    ...(set.has('nosync') ? { sync: false } : {}),
  }
}
