import { accessSync, constants } from 'node:fs'
import { join } from 'node:path'

/** Those of the programs that are not on the PATH. */
export function missingExecutables(names: readonly string[], path: string): string[] {
  const folders = path.split(':').filter((folder) => folder !== '')
  return names.filter(
    (name) =>
      !(name.includes('/') ? [''] : folders).some((folder) => runnable(folder === '' ? name : join(folder, name))),
  )
}

function runnable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}
