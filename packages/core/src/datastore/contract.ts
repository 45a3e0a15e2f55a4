import type { Json } from '../flow/values.js'

/** Immutable bytes by content. */
export interface BlobRef {
  /** Lower-case hex SHA-256 of the bytes. */
  readonly hash: string
  /** Bytes. */
  readonly size: number
}

/** How something is written. */
export interface WriteOptions {
  /**
   * True (default): on disk, with all that was written before, when the promise settles. False: atomic and seen by
   * everyone at once, also when this process is killed, but on disk only with this process's next durable write.
   */
  readonly durable?: boolean
}

/** A blob and when it was last stored, in milliseconds since 1970 of the store's clock. */
export interface StoredBlob extends BlobRef {
  readonly storedAt: number
}

export interface PutBlobOptions extends WriteOptions {
  readonly signal?: AbortSignal
}

/** A blob read in order and synchronously, so that a large one needs no second copy in memory. */
export interface BlobReader {
  /** Bytes. */
  readonly size: number
  /** Fills the target with the next bytes; the read that reaches the blob's end verifies the hash. */
  readSync(target: Uint8Array): void
  close(): void
}

/**
 * Blobs by hash and small JSON records by key (DESIGN D8). Every write is atomic and durable when its promise
 * settles. Keys are `/`-separated segments of `[A-Za-z0-9._@=-]`. Errors are GangflowErrors `E_DATASTORE_*`.
 */
export interface Datastore {
  /** `dir:/abs/path`; `openDatastore(location)` gives the same store in another process. */
  readonly location: string
  /** True where its disk is another machine's: what has not been stored is lost together with this one. */
  readonly away?: boolean
  putBlob(data: Uint8Array | AsyncIterable<Uint8Array>, options?: PutBlobOptions): Promise<BlobRef>
  hasBlob(hash: string): Promise<boolean>
  /** True when the blob is there whole; its age then counts anew, as after a put. False: put it. */
  keepBlob(ref: BlobRef): Promise<boolean>
  /** Verified against the hash. `progress` is called now and then while bytes come. */
  getBlob(hash: string, options?: { signal?: AbortSignal; progress?: () => void }): Promise<Uint8Array>
  /** Verified when read to its end. */
  streamBlob(hash: string, options?: { signal?: AbortSignal }): AsyncIterable<Uint8Array>
  /** Synchronous, for lazy artifacts. */
  getBlobSync(hash: string): Uint8Array
  openBlobSync(hash: string): BlobReader
  /** Create-if-absent: true when this call created it, false when it was there. */
  createRecord(key: string, value: Json, options?: WriteOptions): Promise<boolean>
  /** Creates or replaces. */
  putRecord(key: string, value: Json, options?: WriteOptions): Promise<void>
  readRecord(key: string): Promise<Json | undefined>
  readRecordSync(key: string): Json | undefined
  /** The keys directly or deeper under a prefix that ends at a `/` boundary, sorted. */
  listRecords(prefix: string, options?: { depth?: number }): Promise<readonly string[]>
  /** Names of the segments directly under a prefix, sorted. */
  listChildren(prefix: string): Promise<readonly string[]>
  listChildrenSync(prefix: string): readonly string[]
  deleteRecord(key: string): Promise<void>
  /** Every record below a prefix, at once: a kill leaves all of them or none. */
  deleteRecords(prefix: string): Promise<void>
  /** False when it was stored, or stored again, after `unlessSince` (milliseconds since 1970), and so was kept. */
  deleteBlob(hash: string, options?: { unlessSince?: number }): Promise<boolean>
  listBlobs(): AsyncIterable<StoredBlob>
  /** Removes what writes that were cut off before `before` (milliseconds since 1970) left. */
  tidy(before: number): Promise<void>
  /** A directory on this machine for what is not yet stored (log spools, sockets' parents): made if absent. */
  scratch(...segments: string[]): string
  close(): Promise<void>
}

/** A stored artifact: where its bytes are and how to read them. */
export interface ArtifactRef extends BlobRef {
  /** `cbor` for core's own format, else a codec's name. */
  readonly codec: string
  /** A short human word for the value: `number`, `Float64Array(1000)`, `Map(3)`. */
  readonly type: string
  /** Where the blob is a pack of several small artifacts: byte range of this one in it. */
  readonly range?: readonly [offset: number, length: number]
  /** With `range`: SHA-256 of this artifact's own bytes (else `hash` is). */
  readonly digest?: string
}
