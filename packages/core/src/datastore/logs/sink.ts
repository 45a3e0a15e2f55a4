import type { Json } from '../../flow/values.js'
import type { Datastore } from '../contract.js'
import type { LogChunkRecord } from '../records.js'
import { removeFile } from '../remove.js'
import { chunkKey, clockName, committedOf, countLines } from './chunks.js'
import { claimsOf, type LogTarget, readRecords, sizeOf, writeClaim } from './spool.js'

export interface LogSinkOptions {
  readonly store: Datastore
  readonly target: LogTarget
  /** The spool file; it need not be there yet. */
  readonly file: string
  /** Byte of the spool at which this log begins, for a process that served another one before. Default 0. */
  readonly from?: number
  /** Bytes of a chunk, about. Default 1 MiB. */
  readonly chunkBytes?: number
  /**
   * Milliseconds between looks at the spool; what is there then is committed after ten, or after two where the store is
   * another machine's. Default 1000.
   */
  readonly everyMs?: number
}

export interface FinishOptions {
  /** Byte of the spool at which this log ends. Default: what is there now. */
  readonly to?: number
  /** Delete the spool once all is committed. Default: true, unless `to` is given. */
  readonly remove?: boolean
}

/**
 * Carries one process's output from its spool into the datastore, in numbered chunks, while it grows; never more
 * than a chunk in memory. After a kill at any moment, `recoverSpools` goes on where this one stopped.
 */
export class LogSink {
  readonly #options: LogSinkOptions
  readonly #from: number
  #chunk = 0
  /** Bytes of this log that are committed. */
  #bytes = 0
  #ended = false
  #working: Promise<unknown> = Promise.resolve()
  #timer: NodeJS.Timeout | undefined
  #idleLooks = 0

  constructor(options: LogSinkOptions) {
    this.#options = options
    this.#from = options.from ?? 0
  }

  /** Marks the spool as this log's and follows it until `finish` or `stop`. */
  start(): this {
    const { file, target, everyMs = 1000 } = this.#options
    writeClaim(file, target, this.#from)
    this.#timer = setInterval(() => this.#look(), everyMs)
    this.#timer.unref()
    return this
  }

  /** Stops following; what is not committed stays in the spool. */
  stop(): void {
    clearInterval(this.#timer)
  }

  /** Takes up a log that another process left. */
  async resume(): Promise<this> {
    const committed = await committedOf(this.#options.store, this.#options.target)
    this.#chunk = committed.chunks.length
    this.#bytes = committed.bytes
    this.#ended = committed.ended
    return this
  }

  /**
   * Commits the rest, then deletes the spool: call it when nothing more will be written (`KeptProcess.closed`).
   * Rejects when the datastore cannot take it; the spool then stays, and `finish` may be called again.
   */
  async finish({ to, remove = to === undefined }: FinishOptions = {}): Promise<void> {
    this.stop()
    await this.#queue(async () => {
      const { file, target } = this.#options
      while (!this.#ended && (await this.#commit(to, true)));
      if (!this.#ended && this.#chunk > 0) await this.#put(Buffer.alloc(0), true)
      if (remove) await removeSpool(file)
      else if (to !== undefined) writeClaim(file, target, this.#from, to)
    })
  }

  #look(): void {
    void this.#queue(async () => {
      const { file, store, chunkBytes = 1 << 20 } = this.#options
      const pending = (await sizeOf(file)) - this.#from - this.#bytes
      // A little is committed seldom, and the more seldom the longer the process runs: few chunks in the end.
      const patience = store.away ? Math.min(2 + this.#chunk / 10, 10) : Math.min(10 + this.#chunk / 2, 120)
      if (pending <= 0 || (pending < chunkBytes && ++this.#idleLooks < patience)) return
      this.#idleLooks = 0
      while ((await this.#commit(undefined, false)) && (await sizeOf(file)) - this.#from - this.#bytes >= chunkBytes);
    }).catch(() => {}) // tried again at the next look; `finish` tells
  }

  /** Commits one chunk; false when there was nothing whole to commit. */
  async #commit(to: number | undefined, finishing: boolean): Promise<boolean> {
    const { file, chunkBytes = 1 << 20 } = this.#options
    const at = this.#from + this.#bytes
    const bytes = await readRecords(file, at, chunkBytes, to)
    if (bytes.length === 0) return false
    const last = finishing && (await readRecords(file, at + bytes.length, 1 << 16, to)).length === 0
    await this.#put(bytes, last)
    return true
  }

  async #put(bytes: Buffer, last: boolean): Promise<void> {
    const { store, target } = this.#options
    const blob = await store.putBlob(bytes, { durable: false })
    const record: LogChunkRecord = { blob, lines: countLines(bytes), clock: clockName(), ...(last ? { last } : {}) }
    const created = await store.createRecord(chunkKey(target, this.#chunk), record as unknown as Json, {
      durable: false,
    })
    if (!created) {
      // Another one commits this log too; it is the same spool, so its chunks hold the same bytes.
      await this.resume()
      return
    }
    this.#chunk += 1
    this.#bytes += bytes.length
    this.#ended = last
  }

  #queue<T>(work: () => Promise<T>): Promise<T> {
    const next = this.#working.catch(() => {}).then(work)
    this.#working = next
    return next
  }
}

/** Deletes a spool and its claims. */
export async function removeSpool(file: string): Promise<void> {
  await removeFile(file)
  await removeFile(claimsOf(file))
}
