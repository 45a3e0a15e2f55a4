import { readFileSync } from 'node:fs'
import type { Datastore } from '../contract.js'
import { decodeLog } from '../log-format.js'
import { keys, type LogChunkRecord } from '../records.js'
import type { LogTarget } from './spool.js'

/** What is committed of a log. */
export interface Committed {
  readonly chunks: readonly LogChunkRecord[]
  /** Bytes of the spool that the chunks hold. */
  readonly bytes: number
  readonly ended: boolean
}

export async function committedOf(store: Datastore, target: LogTarget): Promise<Committed> {
  const names = await store.listChildren(keys.log(target.address, target.epoch, target.node, target.process))
  const chunks: LogChunkRecord[] = []
  for (const name of names) {
    if (name !== String(chunks.length).padStart(6, '0')) break
    chunks.push((await store.readRecord(chunkKey(target, chunks.length))) as unknown as LogChunkRecord)
  }
  const bytes = chunks.reduce((sum, chunk) => sum + chunk.blob.size, 0)
  return { chunks, bytes, ended: chunks.at(-1)?.last === true }
}

export const chunkKey = (target: LogTarget, chunk: number): string =>
  keys.logChunk(target.address, target.epoch, target.node, target.process, chunk)

/** Lines that end within these records. */
export function countLines(bytes: Uint8Array): number {
  let lines = 0
  for (const { data } of decodeLog(bytes).records) {
    for (let at = data.indexOf(10); at >= 0; at = data.indexOf(10, at + 1)) lines++
  }
  return lines
}

let boot: string | undefined

/** Names this host's monotonic clock: times of different names cannot be compared. */
export function clockName(): string {
  if (boot === undefined) {
    try {
      boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').slice(0, 8)
    } catch {
      boot = 'unknown'
    }
  }
  return boot
}
