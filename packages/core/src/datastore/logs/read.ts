import { setTimeout as sleep } from 'node:timers/promises'
import { GangflowError } from '../../errors/base.js'
import type { Datastore } from '../contract.js'
import { decodeLog } from '../log-format.js'
import { type AttemptAddress, keys, type LogChunkRecord } from '../records.js'
import { chunkKey, clockName, committedOf } from './chunks.js'
import { LineCutter, type LogLine } from './lines.js'
import { findClaims, type LogTarget, readRecords, sameTarget } from './spool.js'

export type { LogLine } from './lines.js'

export interface ReadLogOptions {
  /** Default 1. */
  readonly epoch?: number
  /** Default 0. */
  readonly node?: number
  /** Default `body`. */
  readonly process?: string
  /** Default both, in the order in which their lines were complete. */
  readonly stream?: 'stdout' | 'stderr'
  /** Keep what `\r` overwrote. Default false. */
  readonly raw?: boolean
  /** Wait for more until the process has ended; the signal ends it sooner. Default false. */
  readonly follow?: boolean
  readonly signal?: AbortSignal
}

/** Bytes read at once of what is still in a spool. */
const PIECE = 1 << 20

/**
 * A process's output, line by line, streamed. What is not yet committed is read from the spool where that is on this
 * machine, so the log of a living process, or of a killed one, is whole.
 */
export async function* readLog(
  store: Datastore,
  address: AttemptAddress,
  options: ReadLogOptions = {},
): AsyncGenerator<LogLine> {
  for await (const { stream, at, text } of timedLines(store, targetOf(address, options), options, 0)) {
    yield { stream, at, text }
  }
}

/** The last `count` lines. Reads the end of the log alone. */
export async function tailLog(
  store: Datastore,
  address: AttemptAddress,
  count: number,
  options: Omit<ReadLogOptions, 'follow'> = {},
): Promise<LogLine[]> {
  if (count <= 0) return []
  const target = targetOf(address, options)
  const { chunks } = await committedOf(store, target)
  let first = chunks.length
  // Lines of one stream cannot be told from the counts: then everything is read.
  if (options.stream !== undefined) first = 0
  for (let lines = 0; first > 0 && lines < count; first--) lines += chunks[first - 1]!.lines
  const tail: LogLine[] = []
  for await (const { stream, at, text } of timedLines(store, target, options, first)) {
    tail.push({ stream, at, text })
    if (tail.length > 2 * count + 1000) tail.splice(0, tail.length - count)
  }
  return tail.slice(-count)
}

/** The processes whose output an attempt has, in order of epoch, node and name. */
export async function logProcesses(store: Datastore, address: AttemptAddress): Promise<LogTarget[]> {
  const found: LogTarget[] = []
  const root = keys.logs(address)
  for (const epoch of await store.listChildren(root)) {
    for (const node of await store.listChildren(`${root}/${epoch}`)) {
      for (const process of await store.listChildren(`${root}/${epoch}/${node}`)) {
        found.push({ address, epoch: Number(epoch), node: Number(node), process })
      }
    }
  }
  for (const { target } of await claimsNow(store)) {
    const ours = sameTarget({ ...target, address }, target)
    if (ours && !found.some((known) => sameTarget(known, target))) found.push(target)
  }
  return found.sort(
    (a, b) => a.epoch - b.epoch || a.node - b.node || (a.process < b.process ? -1 : a.process > b.process ? 1 : 0),
  )
}

export interface MergedLine extends LogLine {
  readonly epoch: number
  readonly node: number
  readonly process: string
}

/**
 * The output of several processes. Lines whose times one clock gave are in order of time; hosts with clocks of their
 * own follow each other.
 */
export async function* mergeLogs(
  store: Datastore,
  targets: readonly LogTarget[],
  options: Pick<ReadLogOptions, 'stream' | 'raw' | 'signal'> = {},
): AsyncGenerator<MergedLine> {
  const heads: { line: TimedLine; target: LogTarget; rest: AsyncGenerator<TimedLine> }[] = []
  for (const target of targets) {
    const rest = timedLines(store, target, options, 0)
    const { value } = await rest.next()
    if (value) heads.push({ line: value, target, rest })
  }
  const clocks = [...new Set(heads.map(({ line }) => line.clock))]
  for (const clock of clocks) {
    const queue = heads.filter(({ line }) => line.clock === clock)
    while (queue.length > 0) {
      const next = queue.reduce((a, b) => (b.line.at < a.line.at ? b : a))
      const { stream, at, text } = next.line
      const { epoch, node, process } = next.target
      yield { epoch, node, process, stream, at, text }
      const { value, done } = await next.rest.next()
      if (done || value === undefined) queue.splice(queue.indexOf(next), 1)
      else next.line = value
    }
  }
}

interface TimedLine extends LogLine {
  readonly clock: string
}

const targetOf = (address: AttemptAddress, { epoch = 1, node = 0, process = 'body' }: ReadLogOptions): LogTarget => ({
  address,
  epoch,
  node,
  process,
})

async function* timedLines(
  store: Datastore,
  target: LogTarget,
  options: ReadLogOptions,
  firstChunk: number,
): AsyncGenerator<TimedLine> {
  const cutter = new LineCutter(options.raw)
  let clock = clockName()
  const wanted = (line: LogLine) => (options.stream ?? line.stream) === line.stream
  // The chunk before the first is read too: a line of the first may have begun there.
  for await (const piece of pieces(store, target, options, Math.max(0, firstChunk - 1))) {
    clock = piece.clock
    for (const record of decodeLog(piece.bytes).records) {
      for (const line of cutter.cut(record)) if (piece.chunk >= firstChunk && wanted(line)) yield { ...line, clock }
    }
  }
  for (const line of cutter.end()) if (wanted(line)) yield { ...line, clock }
}

/** The log's bytes from a chunk on: what is committed, then what is still in its spool. */
async function* pieces(
  store: Datastore,
  target: LogTarget,
  { follow = false, signal }: ReadLogOptions,
  firstChunk: number,
): AsyncGenerator<{ chunk: number; bytes: Uint8Array; clock: string }> {
  let chunk = 0
  let bytes = 0
  // Bytes of the spool that were given before they were committed.
  let ahead = 0
  for (;;) {
    signal?.throwIfAborted()
    let ended = false
    for (;;) {
      const record = (await store.readRecord(chunkKey(target, chunk))) as unknown as LogChunkRecord | undefined
      if (record === undefined) break
      const known = Math.max(0, ahead - bytes)
      if (chunk >= firstChunk && known < record.blob.size) {
        const blob = await store.getBlob(record.blob.hash, signal === undefined ? {} : { signal })
        yield { chunk, bytes: blob.subarray(known), clock: record.clock ?? '' }
      }
      chunk += 1
      bytes += record.blob.size
      ended = record.last === true
    }
    if (ended) return
    ahead = Math.max(ahead, bytes)
    const claim = (await claimsNow(store)).find((found) => sameTarget(found.target, target))
    let fresh = 0
    if (claim !== undefined) {
      for (;;) {
        const more = await readRecords(claim.file, claim.from + ahead, PIECE, claim.limit)
        if (more.length === 0) break
        ahead += more.length
        fresh += more.length
        yield { chunk, bytes: more, clock: clockName() }
      }
    }
    // A claim that is gone was committed meanwhile: the chunks are read once more.
    const more = (await store.readRecord(chunkKey(target, chunk))) !== undefined
    if (more) continue
    if (!follow || claim === undefined) return
    if (fresh === 0) await sleep(200, undefined, signal === undefined ? {} : { signal })
  }
}

async function claimsNow(store: Datastore) {
  try {
    return await findClaims(store)
  } catch (error) {
    // A store that may only be read has no spools of ours.
    if (GangflowError.is(error) && error.code === 'E_DATASTORE_PERMISSION') return []
    throw error
  }
}
