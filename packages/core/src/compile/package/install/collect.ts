import { lstat, readdir, rename, rm, stat, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { CodeCache } from './cache-folder.js'

const HOUR = 3_600_000
const DAY = 24 * HOUR

export interface CollectLimits {
  /** Milliseconds for which a copy, or a file in no copy, is kept unused. Default 14 days. */
  readonly keepMs?: number
  /** Bytes of all files; above, the copies go that were not used for longest, but for those of the last hour. Default 20 GiB. */
  readonly bytes?: number
  /** Milliseconds between two collections. Default a day. */
  readonly everyMs?: number
}

/** Removes what was not used for long. Safe beside installs; they fetch again what they miss. */
export async function collectCode(cache: CodeCache, limits: CollectLimits = {}): Promise<void> {
  const { keepMs = 14 * DAY, bytes = 20 * 1024 ** 3, everyMs = DAY } = limits
  const mark = join(cache.root, 'collected')
  const last = (await stat(mark).catch(() => undefined))?.mtimeMs ?? 0
  if (Date.now() - last < everyMs) return
  await writeFile(mark, '')
  for (const name of await readdir(cache.temp)) {
    const path = join(cache.temp, name)
    const facts = await lstat(path).catch(() => undefined)
    if (facts && Date.now() - facts.mtimeMs > DAY) await rm(path, { recursive: true, force: true })
  }
  const trees: { path: string; usedAt: number }[] = []
  for (const name of await readdir(cache.trees)) {
    const path = join(cache.trees, name)
    const used = await stat(join(path, 'used')).catch(() => undefined)
    if (used) trees.push({ path, usedAt: used.mtimeMs })
  }
  trees.sort((a, b) => a.usedAt - b.usedAt)
  let size = await collectFiles(cache, keepMs)
  for (const { path, usedAt } of trees) {
    const unused = Date.now() - usedAt
    if (unused < keepMs && (size <= bytes || unused < HOUR)) continue
    const aside = join(cache.temp, `old-${process.pid}-${Math.random().toString(36).slice(2)}`)
    await rename(path, aside)
    await rm(aside, { recursive: true, force: true })
    if (size > bytes) size = await collectFiles(cache, HOUR)
  }
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
