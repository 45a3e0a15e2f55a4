import { join } from 'node:path'
import { GangflowError } from '../../errors/base.js'

/**
 * Where things lie below a directory store's root:
 *   records/a/b.json    the record a/b          blobs/ab/abcd…   a blob by its hash
 *   tmp/                writes under way         scratch/         what is not yet stored
 */
export class StorePaths {
  readonly records: string
  readonly blobs: string
  readonly temp: string
  readonly scratch: string

  constructor(readonly root: string) {
    this.records = join(root, 'records')
    this.blobs = join(root, 'blobs')
    this.temp = join(root, 'tmp')
    this.scratch = join(root, 'scratch')
  }

  record(key: string): string {
    const segments = checkedSegments(key)
    const last = segments.pop()
    return `${[this.records, ...segments.map(directoryName)].join('/')}/${last}.json`
  }

  /** The directory that holds the keys under a prefix. */
  prefix(prefix: string): string {
    const trimmed = prefix.replace(/\/$/, '')
    return trimmed === '' ? this.records : [this.records, ...checkedSegments(trimmed).map(directoryName)].join('/')
  }

  blob(hash: string): string {
    if (!/^[0-9a-f]{64}$/.test(hash)) throw badName(hash, 'is no SHA-256 in lower-case hex')
    return `${this.blobs}/${hash.slice(0, 2)}/${hash}`
  }
}

/** A segment as a directory's name: never one that reads as a record's file. */
export const directoryName = (segment: string): string => (/\.json_*$/.test(segment) ? `${segment}_` : segment)

/** The inverse of `directoryName`. */
export const segmentOf = (directory: string): string =>
  /\.json_+$/.test(directory) ? directory.slice(0, -1) : directory

/** The segment that a record's file stands for, or undefined for another file. */
export const recordOf = (file: string): string | undefined => (file.endsWith('.json') ? file.slice(0, -5) : undefined)

export function checkedSegments(key: string): string[] {
  const segments = key.split('/')
  for (const segment of segments) {
    if (!/^[A-Za-z0-9._@=-]+$/.test(segment) || segment === '.' || segment === '..') {
      throw badName(key, 'has a segment that is empty, a dot name or outside A-Z a-z 0-9 . _ @ = -')
    }
    if (segment.length > 200) throw badName(key, 'has a segment of more than 200 characters')
  }
  return segments
}

function badName(name: string, why: string): GangflowError {
  return new GangflowError({
    code: 'E_DATASTORE_KEY',
    what: `'${name}' cannot name anything in the datastore: it ${why}`,
    fix: 'use shorter names of steps, processes and tags, of letters, digits and . _ @ = -',
  })
}
