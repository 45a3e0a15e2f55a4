import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Datastore } from '../contract.js'
import { ownerState } from '../owner.js'
import type { AttemptAddress } from '../records.js'
import { LogSink, removeSpool } from './sink.js'
import { claimedSpools, type LogTarget, openClaims } from './spool.js'

export interface RecoverOptions {
  /** Only logs of this run. Default: of every run. */
  readonly run?: { readonly flow: string; readonly run: string }
  /** Where spools lie besides the store's own `scratch('spool')`. */
  readonly directories?: readonly string[]
  /** Milliseconds for which a spool must not have grown: its writer may outlive the owner a little. Default 3000. */
  readonly quietMs?: number
}

/**
 * Commits the spools whose owner was killed, so that the last lines reach the log, and deletes them. Spools of living
 * owners, and of owners on other hosts, are left alone. Safe to run from several processes at once.
 */
export async function recoverSpools(store: Datastore, options: RecoverOptions = {}): Promise<readonly LogTarget[]> {
  const { run, directories = [], quietMs = 3000 } = options
  const recovered: LogTarget[] = []
  for (const directory of [store.scratch('spool'), ...directories]) {
    for (const file of await claimedSpools(directory)) {
      if (await grewWithin(file, quietMs)) continue
      const claims = openClaims(file)
      const ours = claims.filter(
        ({ target, owner }) =>
          (run === undefined || (target.address.flow === run.flow && target.address.run === run.run)) &&
          ownerState(owner) === 'dead',
      )
      for (const { target, from, limit } of ours) {
        const sink = await new LogSink({ store, target, file, from }).resume()
        await sink.finish({ remove: false, ...(limit === undefined ? {} : { to: limit }) })
        recovered.push(target)
      }
      if (ours.length === claims.length) await removeSpool(file)
    }
  }
  return recovered
}

/** Commits every spool in one directory as logs of one node: what a member that has ended left. */
export async function commitSpoolDirectory(
  store: Datastore,
  node: { readonly address: AttemptAddress; readonly epoch: number; readonly node: number },
  directory: string,
): Promise<void> {
  const names = await readdir(directory).catch(() => [] as string[])
  for (const name of names.filter((candidate) => candidate.endsWith('.spool')).sort()) {
    const file = join(directory, name)
    const claims = openClaims(file)
    const fallback = [{ target: { ...node, process: name.slice(0, -'.spool'.length) }, from: 0, limit: undefined }]
    for (const { target, from, limit } of claims.length > 0 ? claims : fallback) {
      const sink = await new LogSink({ store, target, file, from }).resume()
      await sink.finish({ remove: false, ...(limit === undefined ? {} : { to: limit }) })
    }
    await removeSpool(file)
  }
}

async function grewWithin(file: string, ms: number): Promise<boolean> {
  const found = await stat(file).catch(() => undefined)
  return found !== undefined && Math.abs(Date.now() - found.mtimeMs) < ms
}
