import { createHash } from 'node:crypto'
import { rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Datastore } from '../datastore/contract.js'

/** Whether a flow's last description could be kept: a guess at what the next compile will find, never trusted. */
export function hintOf(file: string, datastore: Datastore) {
  const name = createHash('sha256').update(file).digest('hex').slice(0, 32)
  const path = () => join(datastore.scratch('described'), name)
  return {
    isKept: async (): Promise<boolean> => (await stat(path()).catch(() => undefined)) !== undefined,
    setKept: async (kept: boolean): Promise<void> => (kept ? writeFile(path(), '') : rm(path(), { force: true })),
  }
}
