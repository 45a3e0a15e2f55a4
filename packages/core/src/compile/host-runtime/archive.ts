import { createReadStream } from 'node:fs'
import { mkdir, open, readdir, rename, rm, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { userCache } from '../../errors/user-cache.js'
import type { RuntimeLayer } from './contract.js'
import { tarOf } from './tar.js'

/** Layers' archives that are kept for later runs: the newest. */
const KEPT = 6

const made = new Map<string, Promise<string | undefined>>()

/**
 * A layer as `tarOf` gives it, compressed once for all hosts and kept in this user's cache (`$XDG_CACHE_HOME/gangflow`
 * or `~/.cache/gangflow`); made anew for each host where nothing can be kept.
 */
export async function archiveOf(layer: RuntimeLayer): Promise<AsyncIterable<Uint8Array>> {
  const making = made.get(layer.name) ?? keep(layer)
  made.set(layer.name, making)
  const file = await making
  return file === undefined ? tarOf(layer) : createReadStream(file, { highWaterMark: 1 << 20 })
}

async function keep(layer: RuntimeLayer): Promise<string | undefined> {
  const folder = userCache('layers')
  const file = join(folder, `${layer.name}.tgz`)
  const fresh = `${file}.${process.pid}`
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const { uid, mode } = await stat(folder)
    // What lies there is run on the hosts: nobody else may have put it there.
    if (uid !== process.getuid?.() || (mode & 0o022) !== 0) return undefined
    if (await stat(file).catch(() => undefined)) {
      await utimes(file, new Date(), new Date())
      return file
    }
    const target = await open(fresh, 'wx', 0o600)
    try {
      for await (const piece of tarOf(layer)) await target.write(piece)
      await target.sync()
    } finally {
      await target.close()
    }
    await rename(fresh, file)
    await sweep(folder)
    return file
  } catch {
    await rm(fresh, { force: true })
    return undefined
  }
}

async function sweep(folder: string): Promise<void> {
  const found = await Promise.all(
    (await readdir(folder)).map(async (name) => ({ name, at: (await stat(join(folder, name))).mtimeMs })),
  )
  const old = found.sort((a, b) => b.at - a.at).slice(KEPT)
  await Promise.all(old.map(({ name }) => rm(join(folder, name), { force: true })))
}
