import { createHash } from 'node:crypto'
import { connect } from 'node:net'
import { GangflowError } from '../../errors/base.js'
import type { Json } from '../../flow/values.js'
import type { BlobReader, BlobRef, Datastore, PutBlobOptions } from '../contract.js'
import { BlobCache } from './cache.js'
import { gather } from './gather.js'
import { RelayLink } from './link.js'
import { durable, RemoteRecords } from './remote-records.js'
import { makeScratch } from './scratch.js'
import { SyncLink } from './sync-link.js'
import { INLINE } from './wire.js'

/** Who serves this process, in words. */
const NAME = 'the agent that serves the datastore here'
/** Milliseconds without a sign of it; it gives one every five seconds. */
const SILENCE_MS = 60_000

type Place = { readonly cache: string; readonly scratch: string }

export interface RelayOptions {
  /** Milliseconds without a sign of who serves until a request fails. Default 60 s. */
  readonly silenceMs?: number
}

/** The datastore that another process of this host serves at a unix socket. Nothing is opened before the first use. */
export function openRelay(socket: string, { silenceMs = SILENCE_MS }: RelayOptions = {}): Datastore {
  return new BodyStore(socket, silenceMs)
}

/** Blobs go through files of the host's cache, and only words through the socket. */
class BodyStore extends RemoteRecords implements Datastore {
  readonly location: string
  readonly away = true
  readonly #sync: SyncLink
  #place: Place | undefined
  #files: BlobCache | undefined

  constructor(socket: string, silenceMs: number) {
    super(
      new RelayLink({
        name: NAME,
        silenceMs,
        dial: (signal) => dial(socket, signal),
        // Its socket goes when it does.
        final: (error) => ['ECONNREFUSED', 'ENOENT'].includes(String((error as NodeJS.ErrnoException).code)),
      }),
    )
    this.location = `relay:${socket}`
    this.#sync = new SyncLink(socket, NAME, silenceMs)
  }

  async putBlob(data: Uint8Array | AsyncIterable<Uint8Array>, options: PutBlobOptions = {}): Promise<BlobRef> {
    const { signal } = options
    signal?.throwIfAborted()
    const { whole, rest } = await gather(data, INLINE)
    if (whole) {
      const ref = { hash: createHash('sha256').update(whole).digest('hex'), size: whole.length }
      const params = { ...ref, ...durable(options) }
      await this.link.ask({ doing: storing(ref.hash), op: 'put', params, bytes: whole, signal })
      return ref
    }
    const ref = await (await this.#cache()).put(rest, options)
    await this.link.ask({ doing: storing(ref.hash), op: 'push', params: { ...ref, ...durable(options) }, signal })
    return ref
  }

  async getBlob(hash: string, options: { signal?: AbortSignal } = {}): Promise<Uint8Array> {
    const cache = await this.#cache()
    cache.path(hash)
    for (let tries = 0; ; tries++) {
      await this.#fetch(hash, options.signal)
      try {
        return await cache.get(hash, options)
      } catch (error) {
        if (tries === 2 || !isAway(error)) throw error
        await cache.drop(hash)
      }
    }
  }

  async *streamBlob(hash: string, options: { signal?: AbortSignal } = {}): AsyncGenerator<Uint8Array> {
    const cache = await this.#cache()
    await this.#fetch(hash, options.signal)
    try {
      yield* cache.stream(hash, options)
    } catch (error) {
      if (isAway(error)) await cache.drop(hash)
      throw error
    }
  }

  getBlobSync(hash: string): Uint8Array {
    return this.#readSync(hash, (cache) => cache.getSync(hash))
  }

  openBlobSync(hash: string): BlobReader {
    return this.#readSync(hash, (cache) => cache.openSync(hash))
  }

  readRecordSync(key: string): Json | undefined {
    return this.#sync.ask(`reading record ${key}`, 'read', { key })
  }

  listChildrenSync(prefix: string): readonly string[] {
    return this.#sync.ask(`listing ${prefix}`, 'children', { prefix })
  }

  scratch(...segments: string[]): string {
    return makeScratch(this.#placeSync().scratch, segments)
  }

  async close(): Promise<void> {
    this.link.close()
    this.#sync.close()
  }

  async #fetch(hash: string, signal: AbortSignal | undefined): Promise<void> {
    const cache = await this.#cache()
    cache.path(hash)
    if (!(await cache.has(hash))) await this.link.ask({ doing: reading(hash), op: 'fetch', params: { hash }, signal })
  }

  /** Out of the cache; fetched when it is not there, or what is there is not what it should be. */
  #readSync<T>(hash: string, read: (cache: BlobCache) => T): T {
    this.#files ??= new BlobCache(this.#placeSync().cache)
    const cache = this.#files
    try {
      return read(cache)
    } catch (error) {
      if (!isAway(error)) throw error
      cache.dropSync(hash)
    }
    for (let tries = 0; ; tries++) {
      this.#sync.ask(reading(hash), 'fetch', { hash })
      try {
        return read(cache)
      } catch (error) {
        // It may have left the cache before it was opened.
        if (tries === 2 || !isAway(error)) throw error
      }
    }
  }

  #placeSync(): Place {
    this.#place ??= this.#sync.ask<Place>("asking for the host's directories", 'host', {})
    return this.#place
  }

  async #cache(): Promise<BlobCache> {
    this.#place ??= await this.link.ask<Place>({ doing: "asking for the host's directories", op: 'host', params: {} })
    this.#files ??= new BlobCache(this.#place.cache)
    return this.#files
  }
}

const storing = (hash: string): string => `storing blob ${hash.slice(0, 12)}`
const reading = (hash: string): string => `reading blob ${hash.slice(0, 12)}`

/** Not in the cache, or not as it was stored: the owner's copy counts. */
const isAway = (error: unknown): boolean =>
  GangflowError.is(error) && (error.code === 'E_DATASTORE_BLOB_MISSING' || error.code === 'E_DATASTORE_CORRUPT')

function dial(path: string, signal: AbortSignal): Promise<ReturnType<typeof connect>> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path, signal })
    socket.once('connect', () => resolve(socket))
    socket.once('error', reject)
  })
}
