import { rmdirSync, rmSync, statSync, unlinkSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { isAbsent } from './failures.js'

// What a short process leaves is mostly empty or small, and then these need none of the modules that Node loads for its
// promises and its recursive removal: a tenth of an agent's life.

/** Bytes of a file whose removal may take so long that nobody should stand still for it. */
const LARGE = 1 << 20

/** Removes a folder with all in it; none is no error. */
export function removeFolder(path: string): void {
  if (!removeEmpty(path)) rmSync(path, { recursive: true, force: true })
}

/** The same, without standing still where there is something in it. */
export async function removeFolderLater(path: string): Promise<void> {
  if (!removeEmpty(path)) await rm(path, { recursive: true, force: true })
}

/** Removes a file; none is no error. */
export async function removeFile(path: string): Promise<void> {
  const size = statSync(path, { throwIfNoEntry: false })?.size
  if (size === undefined) return
  if (size > LARGE) return rm(path, { force: true })
  try {
    unlinkSync(path)
  } catch (error) {
    if (!isAbsent(error)) throw error
  }
}

function removeEmpty(path: string): boolean {
  try {
    rmdirSync(path)
    return true
  } catch (error) {
    return isAbsent(error)
  }
}
