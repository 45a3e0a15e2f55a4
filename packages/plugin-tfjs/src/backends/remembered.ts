import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cacheFolder } from './cache.js'
import type { BackendName } from './names.js'
import { packageOf } from './packages.js'

/** What a backend is made of, besides its JavaScript. */
const parts: Record<BackendName, readonly string[]> = {
  'tfjs-node': ['lib/napi-v8', 'deps/lib'],
  wasm: ['dist'],
  cpu: [],
}

/** A name for these very files under this Node: path, size and time of each. */
export function keyOf(name: BackendName, file: string): string {
  const root = packageOf(file)
  const hash = createHash('sha256').update(
    JSON.stringify([name, file, process.version, process.arch, process.platform]),
  )
  for (const part of parts[name]) {
    const folder = join(root, part)
    for (const entry of list(folder)) {
      const facts = statSync(join(folder, entry), { throwIfNoEntry: false })
      hash.update(JSON.stringify([part, entry, facts?.size, facts?.mtimeMs]))
    }
  }
  return hash.digest('hex')
}

const marker = (key: string) => join(cacheFolder(), 'loads', key)

export const knownToLoad = (key: string): boolean => existsSync(marker(key))

/** Without a cache that can be written, the next look takes its time again. */
export function rememberThatLoads(key: string): void {
  try {
    mkdirSync(join(cacheFolder(), 'loads'), { recursive: true })
    writeFileSync(marker(key), '')
  } catch {
    // It only saves time.
  }
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder).sort()
  } catch {
    return []
  }
}
