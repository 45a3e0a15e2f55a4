import { readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ownerState, thisOwner } from '../../../datastore/owner.js'
import type { OwnerRecord } from '../../../datastore/records.js'
import type { CodeCache } from './cache-folder.js'

const BEAT_MS = 1000
/** A holder that has not beaten for this long of the waiter's clock is taken for dead. */
const SILENCE_MS = 15_000

export interface Waiting {
  readonly signal: AbortSignal
  /** Called while another process holds it and lives. */
  beat(): void
}

/**
 * Runs `work` while no other process of the host runs it under this name. It saves work and keeps nothing safe: a
 * holder that was frozen may wake beside its successor.
 */
export async function withLock<T>(
  { locks, temp }: CodeCache,
  name: string,
  waiting: Waiting,
  work: () => Promise<T>,
): Promise<T> {
  const path = join(locks, name)
  await take(path, temp, waiting)
  const beat = setInterval(() => void utimes(path, new Date(), new Date()).catch(() => {}), BEAT_MS)
  beat.unref()
  try {
    return await work()
  } finally {
    clearInterval(beat)
    await rm(path, { force: true })
  }
}

async function take(path: string, temp: string, { signal, beat }: Waiting): Promise<void> {
  let seen = 0
  let since = performance.now()
  for (;;) {
    signal.throwIfAborted()
    try {
      return await writeFile(path, JSON.stringify(thisOwner()), { flag: 'wx', mode: 0o600 })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
    const at = (await stat(path).catch(() => undefined))?.mtimeMs
    if (at === undefined) continue
    if (at !== seen) {
      seen = at
      since = performance.now()
      beat()
    }
    if (performance.now() - since > SILENCE_MS || (await holderIsDead(path))) {
      const aside = join(temp, `lock-${process.pid}-${Math.random().toString(36).slice(2)}`)
      await rename(path, aside).catch(() => {})
      await rm(aside, { force: true })
    } else await sleep(50, undefined, { signal })
  }
}

/** By pid and start time; false where that cannot be known, or while it is being written. */
async function holderIsDead(path: string): Promise<boolean> {
  try {
    return ownerState(JSON.parse(await readFile(path, 'utf8')) as OwnerRecord) === 'dead'
  } catch {
    return false
  }
}
