import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { isAbsent, storeFailure } from '../failures.js'

/** Removes entries of a directory that nothing has changed since `before`, milliseconds since 1970. */
export async function tidy(directory: string, before: number): Promise<void> {
  try {
    for (const name of await readdir(directory)) {
      const path = join(directory, name)
      const found = await stat(path).catch(() => undefined)
      if (found !== undefined && found.mtimeMs < before) await rm(path, { recursive: true, force: true })
    }
  } catch (error) {
    if (!isAbsent(error)) throw storeFailure(error, 'tidying', directory)
  }
}
