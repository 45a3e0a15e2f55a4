import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** All files below a folder, one after the other, but those that go while they are looked for: daemons and runs write there. */
export function contents(folder: string): Buffer {
  const entries = unlessGone(() => readdirSync(folder, { withFileTypes: true })) ?? []
  return Buffer.concat(
    entries.map((entry) => {
      const path = join(folder, entry.name)
      if (entry.isDirectory()) return contents(path)
      return (entry.isFile() ? unlessGone(() => readFileSync(path)) : undefined) ?? Buffer.alloc(0)
    }),
  )
}

function unlessGone<T>(look: () => T): T | undefined {
  try {
    return look()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
