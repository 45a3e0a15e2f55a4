import { lstat, readdir, rename, rm, stat, statfs, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { CodeCache } from './cache-folder.js'
import { ownBytesOf } from './tree.js'

const HOUR = 3_600_000
const DAY = 24 * HOUR

/** Bytes in all, unless the disk is small. */
const LIMIT = 20 * 1024 ** 3

export interface CollectLimits {
  /** Milliseconds for which a copy, or a file in no copy, is kept unused. Default 14 days. */
  readonly keepMs?: number
  /**
   * Bytes; above, the copies go that were not used for longest, but for those of the last hour. Default 20 GiB, at most a
   * tenth of the disk.
   */
  readonly bytes?: number
  /** Milliseconds between two collections. Default an hour. */
  readonly everyMs?: number
}

/** Removes what was not used for long. Safe beside installs; they fetch again what they miss. */
export async function collectCode(cache: CodeCache, limits: CollectLimits = {}): Promise<void> {
  const { keepMs = 14 * DAY, everyMs = HOUR } = limits
  const mark = join(cache.root, 'collected')
  const last = (await stat(mark).catch(() => undefined))?.mtimeMs ?? 0
  if (Date.now() - last < everyMs) return
  await writeFile(mark, '')
  const bytes = limits.bytes ?? Math.min(LIMIT, await tenthOf(cache.root))
  for (const name of await readdir(cache.temp)) {
    const path = join(cache.temp, name)
    const facts = await lstat(path).catch(() => undefined)
    if (facts && Date.now() - facts.mtimeMs > DAY) await rm(path, { recursive: true, force: true })
  }
  const trees: { path: string; usedAt: number; size: number }[] = []
  for (const name of await readdir(cache.trees)) {
    const path = join(cache.trees, name)
    const used = await stat(join(path, 'used')).catch(() => undefined)
    if (used) trees.push({ path, usedAt: used.mtimeMs, size: await ownBytesOf(path) })
  }
  trees.sort((a, b) => a.usedAt - b.usedAt)
  let copies = trees.reduce((sum, { size }) => sum + size, 0)
  let files = await collectFiles(cache, keepMs)
  for (const { path, usedAt, size } of trees) {
    const unused = Date.now() - usedAt
    const tooMuch = copies + files > bytes
    if (unused < keepMs && (!tooMuch || unused < HOUR)) continue
    const aside = join(cache.temp, `old-${process.pid}-${Math.random().toString(36).slice(2)}`)
    await rename(path, aside)
    await rm(aside, { recursive: true, force: true })
    copies -= size
    if (tooMuch) files = await collectFiles(cache, HOUR)
  }
}

async function tenthOf(folder: string): Promise<number> {
  const { blocks, bsize } = await statfs(folder)
  return (blocks * bsize) / 10
}

/** Removes files that are in no copy and were not used for so long; gives the bytes that stay. */
async function collectFiles({ files }: CodeCache, keepMs: number): Promise<number> {
  let size = 0
  for (const fan of await readdir(files)) {
    for (const name of await readdir(join(files, fan))) {
      const path = join(files, fan, name)
      const facts = await lstat(path).catch(() => undefined)
      if (facts && facts.nlink === 1 && Date.now() - facts.ctimeMs > keepMs) await unlink(path).catch(() => {})
      else size += facts?.size ?? 0
    }
  }
  return size
}
