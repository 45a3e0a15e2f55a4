import { createHash } from 'node:crypto'
import { existsSync, lstatSync, mkdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { diskBelow } from './files.js'

/** What a keeper or a step writes while it runs: on a network disk that hangs, whoever writes could not even be ended. */
const near = new Set(['spool', 'tmp'])

export const isNear = (segment: string | undefined): boolean => segment !== undefined && near.has(segment)

/**
 * A directory of this user alone on a disk of this machine, for a store on one that is not; `undefined` where this machine
 * has none. It outlives a restart: logs that were not stored yet are in it.
 */
export function nearScratch(root: string, parents: readonly string[] = ['/var/tmp', tmpdir()]): string | undefined {
  const own = `gangflow-${process.getuid?.() ?? 0}`
  for (const parent of parents) {
    try {
      if (!existsSync(parent) || !diskBelow(parent).near) continue
      const base = join(parent, own)
      mkdirSync(base, { recursive: true, mode: 0o700 })
      const found = lstatSync(base)
      if (!found.isDirectory() || found.uid !== process.getuid?.() || (found.mode & 0o077) !== 0) continue
      return join(base, createHash('sha256').update(root).digest('hex').slice(0, 16))
    } catch {
      // Not there, or not to be written: the next.
    }
  }
  return undefined
}
