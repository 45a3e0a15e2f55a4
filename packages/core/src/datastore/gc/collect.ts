import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { GangflowError } from '../../errors/base.js'
import type { Datastore } from '../contract.js'
import { recoverSpools } from '../logs/recover.js'
import { keys, type RunRecord } from '../records.js'
import { Marks } from './mark.js'
import { type RunName, sortRuns } from './runs.js'

export interface GarbageOptions {
  /** The newest runs of each flow that stay, a whole number from 0 on. */
  readonly keep: number
  /** Only runs of this flow go. Default: of every flow. */
  readonly flow?: string
  /** Say what would go, and delete nothing. Default false. */
  readonly dryRun?: boolean
  /** Milliseconds for which blobs without a record stay: a step may be about to write it. Default an hour. */
  readonly graceMs?: number
  readonly signal?: AbortSignal
}

export interface GarbageReport {
  readonly runs: readonly RunName[]
  readonly blobs: number
  /** Bytes of those blobs. */
  readonly bytes: number
}

/**
 * Deletes old runs, then the blobs that no record mentions any more. Runs that live stay, with all that was stored
 * since the oldest of them began; so do runs whose tasks a kept one took over. Safe beside running flows, and when
 * killed: the next collection goes on.
 */
export async function collectGarbage(store: Datastore, options: GarbageOptions): Promise<GarbageReport> {
  const { keep, flow, dryRun = false, graceMs = 3_600_000, signal } = options
  if (!Number.isInteger(keep) || keep < 0) {
    throw new GangflowError({
      code: 'E_GC_KEEP',
      what: `the number of runs to keep is ${keep}`,
      fix: 'give a whole number from 0 on',
    })
  }
  const began = Date.now()
  const { doomed, kept, livingSince } = await sortRuns(store, keep, flow)
  const prefixes = new Set(doomed.map((name) => `${keys.runRoot(name.flow, name.run)}/`))
  const skip = (key: string) => prefixes.has(`${key.split('/', 3).join('/')}/`)
  if (!dryRun) {
    await recoverSpools(store)
    for (const name of doomed) {
      signal?.throwIfAborted()
      await store.deleteRecords(keys.runRoot(name.flow, name.run))
    }
  }
  const before = Math.min(began - graceMs, livingSince - 60_000)
  const marks = new Marks()
  await marks.gather(store, skip, signal)
  const candidates: { hash: string; size: number }[] = []
  for await (const blob of store.listBlobs()) {
    if (!marks.has(blob.hash) && blob.storedAt < before) candidates.push(blob)
  }
  // What was recorded meanwhile; a run that just began to resume an old one may not have recorded all yet.
  await marks.gather(store, skip, signal)
  const { resumed } = await sortRuns(store, 0, '')
  if (doomed.some((name) => resumed.has(`${name.flow}/${name.run}`))) candidates.length = 0
  let blobs = 0
  let bytes = 0
  for (const { hash, size } of candidates) {
    signal?.throwIfAborted()
    if (marks.has(hash)) continue
    if (!dryRun && !(await store.deleteBlob(hash, { unlessSince: before }))) continue
    blobs += 1
    bytes += size
  }
  if (!dryRun) {
    await store.tidy(before)
    await clearScratch(store, doomed, kept, before)
  }
  return { runs: doomed, blobs, bytes }
}

/** Removes the working directories of runs that are gone, and unpacked code that no run uses. */
async function clearScratch(
  store: Datastore,
  doomed: readonly RunName[],
  kept: readonly RunName[],
  before: number,
): Promise<void> {
  const root = store.scratch()
  for (const { flow, run } of doomed) {
    // Each may lie on a disk of its own.
    for (const path of [
      store.scratch('tmp', flow, run),
      store.scratch('spool', flow, run),
      store.scratch('spool', run),
      store.scratch('files', flow, run),
    ])
      await rm(path, { recursive: true, force: true })
  }
  const used = new Set<string>()
  for (const { flow, run } of kept) {
    const record = (await store.readRecord(keys.run(flow, run))) as unknown as RunRecord | undefined
    if (record !== undefined) used.add(record.bundle.hash)
  }
  const remembered = await readdir(join(root, 'packed')).catch(() => [] as string[])
  for (const name of remembered.filter((one) => one.endsWith('.literals.json'))) {
    const path = join(root, 'packed', name)
    const found = await stat(path).catch(() => undefined)
    if (found !== undefined && found.mtimeMs < before) await rm(path, { force: true })
  }
  for (const hash of await readdir(join(root, 'code')).catch(() => [] as string[])) {
    const path = join(root, 'code', hash)
    const found = await stat(path).catch(() => undefined)
    if (!used.has(hash) && found !== undefined && found.mtimeMs < before) {
      await rm(path, { recursive: true, force: true })
    }
  }
}
