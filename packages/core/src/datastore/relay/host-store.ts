import { createHash } from 'node:crypto'
import { chmodSync, rmSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import type { Duplex } from 'node:stream'
import { GangflowError } from '../../errors/base.js'
import type { Json } from '../../flow/values.js'
import type { BlobReader, BlobRef, Datastore, PutBlobOptions } from '../contract.js'
import { isAbsent, missingBlob, storeFailure } from '../failures.js'
import { BlobCache, defaultCache } from './cache.js'
import { Gate } from './gate.js'
import { gather } from './gather.js'
import { RelayLink } from './link.js'
import { durable, RemoteRecords } from './remote-records.js'
import { wholeScope } from './scope.js'
import { makeScratch } from './scratch.js'
import { RelayServer } from './server.js'
import { INLINE, PIECE } from './wire.js'

/** Bytes that are sent from memory; more goes through a file. */
const IN_MEMORY = 4 << 20
/** Transfers at once: each may have a window of bytes under way, at both ends. */
const TRANSFERS = 8

export interface HostStoreOptions {
  /** Dials the datastore's owner; called again when that connection broke. */
  dial(signal: AbortSignal): Promise<Duplex>
  /** Path of the unix socket for the bodies of this host, in a directory of this user alone. */
  readonly socket: string
  /** The host's cache of blobs. Default: `$XDG_CACHE_HOME/gangflow/store`. */
  readonly cache?: string | undefined
  /** Bytes of that cache. Default 20 GiB, at most a tenth of its disk. */
  readonly cacheLimit?: number
  /** Milliseconds without a sign of the owner until a request fails. */
  readonly silenceMs: number
  /** Milliseconds without a byte of it, while something is asked, until it is dialled anew. Default 20 s. */
  readonly lullMs?: number
}

/** The datastore as one host has it: what an agent reads and writes, and serves to its bodies. */
export interface HostStore extends Datastore {
  /** No answer comes any more: everything open fails with E_DATASTORE_LOST. */
  abandon(why: string): void
}

/** Opens a datastore that is on another machine, and serves it to the bodies here (`relay:` and the socket's path). */
export async function openHostStore(options: HostStoreOptions): Promise<HostStore> {
  const store = new RelayedHostStore(options)
  await store.listen(options.socket)
  return store
}

class RelayedHostStore extends RemoteRecords implements HostStore {
  readonly location: string
  readonly away = true
  readonly #cache: BlobCache
  readonly #gate = new Gate(TRANSFERS)
  readonly #fetching = new Map<string, Promise<void>>()
  readonly #server: Server
  readonly #bodies: RelayServer

  constructor({ dial, silenceMs, lullMs, socket, cache, cacheLimit }: HostStoreOptions) {
    super(new RelayLink({ dial, silenceMs, lullMs, name: "the datastore's owner" }))
    this.location = `relay:${socket}`
    this.#cache = new BlobCache(cache ?? defaultCache(), cacheLimit)
    this.#bodies = new RelayServer({
      store: this,
      // The owner refuses what this gang may not do.
      scope: wholeScope,
      // The owner's own silence is told first.
      silenceMs: silenceMs * 2,
      host: {
        cache: this.#cache.directory,
        scratch: this.#cache.scratch,
        fetch: (hash) => this.#fetch(hash),
        push: (ref, how) => this.#push(ref, how),
      },
    })
    this.#server = createServer((connection) => this.#bodies.serve(connection))
  }

  async listen(socket: string): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', (error) => reject(storeFailure(error, 'opening a socket for bodies', socket)))
      this.#server.listen({ path: socket, backlog: 1024 }, resolve)
    })
    chmodSync(socket, 0o600)
    this.#server.unref()
  }

  async putBlob(data: Uint8Array | AsyncIterable<Uint8Array>, options: PutBlobOptions = {}): Promise<BlobRef> {
    options.signal?.throwIfAborted()
    const start = await gather(data, IN_MEMORY)
    if (start.rest) {
      const ref = await this.#cache.put(start.rest, options)
      await this.#push(ref, options)
      return ref
    }
    const { whole } = start
    const ref = { hash: createHash('sha256').update(whole).digest('hex'), size: whole.length }
    if (whole.length <= INLINE) await this.#put(ref, whole, options)
    else await this.#upload(ref, options, (from) => piecesOf(whole.subarray(from)))
    return ref
  }

  async getBlob(hash: string, options: { signal?: AbortSignal } = {}): Promise<Uint8Array> {
    await this.#fetch(hash)
    return await this.#checked(hash, () => this.#cache.get(hash, options))
  }

  async *streamBlob(hash: string, options: { signal?: AbortSignal } = {}): AsyncGenerator<Uint8Array> {
    await this.#fetch(hash)
    try {
      yield* this.#cache.stream(hash, options)
    } catch (error) {
      await this.#distrust(hash, error)
      throw error
    }
  }

  override async deleteBlob(hash: string, options?: { unlessSince?: number }): Promise<boolean> {
    const deleted = await super.deleteBlob(hash, options)
    if (deleted) await this.#cache.drop(hash)
    return deleted
  }

  getBlobSync(hash: string): Uint8Array {
    return synchronous(() => this.#cache.getSync(hash))
  }
  openBlobSync(hash: string): BlobReader {
    return synchronous(() => this.#cache.openSync(hash))
  }
  readRecordSync(): Json | undefined {
    throw asynchronousOnly()
  }
  listChildrenSync(): readonly string[] {
    throw asynchronousOnly()
  }

  scratch(...segments: string[]): string {
    return makeScratch(this.#cache.scratch, segments)
  }

  abandon(why: string): void {
    this.link.close(why)
  }

  async close(): Promise<void> {
    this.#server.close()
    this.#bodies.close()
    this.link.close()
    rmSync(this.location.slice('relay:'.length), { force: true })
  }

  async #put({ hash, size }: BlobRef, bytes: Uint8Array, options: PutBlobOptions): Promise<void> {
    const params = { hash, size, ...durable(options) }
    await this.link.ask({
      doing: `storing blob ${hash.slice(0, 12)}`,
      op: 'put',
      params,
      bytes,
      signal: options.signal,
    })
  }

  /** Sends what lies in the cache, unless the owner has it. Acknowledged when the owner has it on disk. */
  async #push(ref: BlobRef, options: PutBlobOptions): Promise<void> {
    const path = this.#cache.path(ref.hash)
    let file: FileHandle
    try {
      // Open before it waits for its turn: it may leave the cache meanwhile.
      file = await open(path, 'r')
    } catch (error) {
      throw isAbsent(error) ? missingBlob(ref.hash, path) : storeFailure(error, 'reading a blob', path)
    }
    try {
      await this.#upload(ref, options, (from) => piecesOfFile(file, from, ref.size))
      this.#cache.added(ref.size)
    } catch (error) {
      await this.#distrust(ref.hash, error)
      throw error
    } finally {
      await file.close()
    }
  }

  async #upload(
    { hash, size }: BlobRef,
    options: PutBlobOptions,
    upload: (from: number) => AsyncIterable<Uint8Array>,
  ): Promise<void> {
    const { signal } = options
    const params = { hash, size, ...durable(options) }
    const doing = `storing blob ${hash.slice(0, 12)}`
    await this.#gate.pass(() => this.link.ask({ doing, op: 'upload', params, upload, signal }), signal)
  }

  /** Brings a blob here, once for all who ask meanwhile. */
  async #fetch(hash: string): Promise<void> {
    if (await this.#cache.has(hash)) return
    let fetching = this.#fetching.get(hash)
    if (!fetching) {
      fetching = this.#gate.pass(() => this.#download(hash)).finally(() => this.#fetching.delete(hash))
      this.#fetching.set(hash, fetching)
    }
    await fetching
  }

  async #download(hash: string): Promise<void> {
    const incoming = await this.#cache.receive(hash)
    try {
      const { begin, write } = incoming
      const doing = `reading blob ${hash.slice(0, 12)}`
      await this.link.ask({ doing, op: 'download', params: { hash }, sink: { begin, write } })
      await incoming.keep()
    } catch (error) {
      await incoming.discard()
      throw error
    }
  }

  /** Reads what was fetched; a file that this host spoiled is fetched once more. */
  async #checked<T>(hash: string, read: () => Promise<T>): Promise<T> {
    try {
      return await read()
    } catch (error) {
      // Or it left the cache just now.
      const away = GangflowError.is(error) && error.code === 'E_DATASTORE_BLOB_MISSING'
      if (!away && !(await this.#distrust(hash, error))) throw error
      await this.#fetch(hash)
      return await read()
    }
  }

  async #distrust(hash: string, error: unknown): Promise<boolean> {
    if (!GangflowError.is(error) || error.code !== 'E_DATASTORE_CORRUPT') return false
    await this.#cache.drop(hash)
    return true
  }
}

async function* piecesOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

async function* piecesOfFile(file: FileHandle, from: number, size: number): AsyncGenerator<Uint8Array> {
  for (let at = from; at < size; ) {
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafeSlow(PIECE), 0, PIECE, at)
    if (bytesRead === 0) return
    at += bytesRead
    yield buffer.subarray(0, bytesRead)
  }
}

function synchronous<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (GangflowError.is(error) && error.code === 'E_DATASTORE_BLOB_MISSING') throw asynchronousOnly()
    throw error
  }
}

const asynchronousOnly = (): GangflowError =>
  new GangflowError({
    code: 'E_DATASTORE_SYNC',
    what: 'the datastore is on another machine, and who serves it to others cannot wait for it synchronously',
    fix: 'use the asynchronous method',
  })
