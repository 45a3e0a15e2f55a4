import { mkdirSync, rmSync, statfsSync } from 'node:fs'
import { GangflowError } from '../../errors/base.js'
import { userCache } from '../../errors/user-cache.js'
import type { BlobRef, PutBlobOptions } from '../contract.js'
import { DirectoryBlobs } from '../directory/blobs.js'
import { Durability } from '../directory/durable.js'
import { StorePaths } from '../directory/paths.js'
import { tidy } from '../directory/tidy.js'
import { checkTrust } from '../directory/trust.js'
import { storeFailure } from '../failures.js'

/** Bytes that a host's cache holds at most, unless its disk is small. */
const LIMIT = 20 << 30
/** Milliseconds for which what was used last stays in any case: somebody may be about to open it. */
const YOUNG_MS = 120_000
/** Milliseconds after which an unfinished file belongs to nobody. */
const STALE_MS = 24 * 3_600_000

/** Where a host's cache is when nobody says. */
export const defaultCache = (): string => userCache('store')

/**
 * Blobs of a datastore that is elsewhere, on a disk of this host: by content, verified when they are read, shared by
 * all processes of this user here. Nothing in it is ever the only copy of what was acknowledged.
 */
export class BlobCache {
  readonly directory: string
  readonly scratch: string
  readonly #paths: StorePaths
  readonly #disk: Durability
  readonly #blobs: DirectoryBlobs
  readonly #limit: number
  /** Bytes that came since the last look; the first look is due at once. */
  #added = Number.POSITIVE_INFINITY
  #trimming: Promise<void> | undefined

  /** `limit`: bytes. Default 20 GiB, at most a tenth of the disk. */
  constructor(directory: string, limit?: number) {
    this.directory = directory
    this.#paths = new StorePaths(directory)
    this.scratch = this.#paths.scratch
    try {
      mkdirSync(directory, { recursive: true, mode: 0o700 })
    } catch (error) {
      throw storeFailure(error, "making the host's cache", directory)
    }
    checkTrust(directory)
    // What a power cut takes is fetched again.
    this.#disk = new Durability(this.#paths.temp, { file: 0o600, directory: 0o700 }, false)
    this.#blobs = new DirectoryBlobs(this.#paths, this.#disk)
    this.#limit = limit ?? Math.min(LIMIT, tenthOf(directory))
  }

  /** Absolute path at which a blob lies, if it is here. Throws E_DATASTORE_KEY for what is no hash. */
  path(hash: string): string {
    return this.#paths.blob(hash)
  }

  /** True when it is here; it then counts as just used. */
  async has(hash: string): Promise<boolean> {
    const path = this.path(hash)
    try {
      const { size } = await this.#disk.files.stat(path)
      return await this.#blobs.keep({ hash, size })
    } catch {
      return false
    }
  }

  put(data: Uint8Array | AsyncIterable<Uint8Array>, options: PutBlobOptions): Promise<BlobRef> {
    return this.#told(this.#blobs.put(data, { ...options, durable: false }))
  }

  get(hash: string, options?: { signal?: AbortSignal }): Promise<Uint8Array> {
    return this.#blobs.get(hash, options)
  }

  stream(hash: string, options?: { signal?: AbortSignal }): AsyncIterable<Uint8Array> {
    return this.#blobs.stream(hash, options)
  }

  openSync(hash: string): ReturnType<DirectoryBlobs['openSync']> {
    return this.#blobs.openSync(hash)
  }

  getSync(hash: string): Uint8Array {
    return this.#blobs.getSync(hash)
  }

  /** Removes one that turned out to be corrupt, or that the datastore no longer has. */
  async drop(hash: string): Promise<void> {
    await this.#blobs.delete(hash)
  }

  dropSync(hash: string): void {
    rmSync(this.path(hash), { force: true })
  }

  /** A place for a blob that comes from elsewhere. */
  async receive(hash: string): Promise<Incoming> {
    const path = this.path(hash)
    const temp = await this.#told(this.#disk.createTemp())
    let size = 0
    return {
      begin: async () => size,
      write: async (piece) => {
        await this.#told(temp.handle.write(piece, 0, piece.length, size))
        size += piece.length
      },
      keep: async () => {
        await temp.handle.close()
        await this.#disk.inDirectory(path, () => this.#disk.files.rename(temp.path, path))
        this.added(size)
      },
      discard: async () => {
        await temp.handle.close().catch(() => {})
        await this.#disk.discard(temp.path)
      },
    }
  }

  /** Bytes came: what was not used for longest goes when there are too many. */
  added(bytes: number): void {
    this.#added += bytes
    if (this.#added < this.#limit / 8 || this.#trimming) return
    this.#trimming = this.trim()
      .catch(() => {}) // tried again with the next bytes
      .finally(() => {
        this.#trimming = undefined
      })
  }

  /** Brings the cache below its limit, as far as what is young allows. */
  async trim(now = Date.now()): Promise<void> {
    this.#added = 0
    await tidy(this.#paths.temp, now - STALE_MS)
    const blobs = []
    let held = 0
    for await (const blob of this.#blobs.list()) {
      blobs.push(blob)
      held += blob.size
    }
    if (held <= this.#limit) return
    blobs.sort((a, b) => a.storedAt - b.storedAt)
    for (const { hash, size } of blobs) {
      if (held <= this.#limit * 0.8) return
      if (await this.#blobs.delete(hash, { unlessSince: now - YOUNG_MS })) held -= size
    }
  }

  async #told<T>(work: Promise<T>): Promise<T> {
    try {
      return await work
    } catch (cause) {
      const error = storeFailure(cause, 'writing a blob', this.directory)
      if (!GangflowError.is(error) || error.code !== 'E_DATASTORE_FULL') throw error
      throw new GangflowError(
        {
          code: 'E_DATASTORE_FULL',
          what: `no space left in this host's cache of the datastore (${this.directory})`,
          fix: 'free space or quota on that disk, or give the host another directory (workdir= in the hosts file)',
          details: { path: this.directory },
        },
        { cause },
      )
    }
  }
}

/** A file that is being filled. */
export interface Incoming {
  /** Bytes that are in it. */
  begin(): Promise<number>
  write(piece: Uint8Array): Promise<void>
  /** Gives it its name. */
  keep(): Promise<void>
  discard(): Promise<void>
}

function tenthOf(directory: string): number {
  try {
    const { blocks, bsize } = statfsSync(directory)
    return (blocks * bsize) / 10
  } catch {
    return LIMIT
  }
}
