import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import type { Json } from '../../flow/values.js'
import type { BlobReader, BlobRef, Datastore, PutBlobOptions, StoredBlob, WriteOptions } from '../contract.js'
import { isTaken, storeFailure } from '../failures.js'
import { DirectoryBlobs } from './blobs.js'
import { Durability } from './durable.js'
import { isNear, nearScratch } from './near-scratch.js'
import { checkedSegments, StorePaths } from './paths.js'
import { DirectoryRecords } from './records.js'
import { tidy } from './tidy.js'
import { checkTrust } from './trust.js'

export interface DirectoryOptions {
  /** Accept a directory that other users may write. Default: only with `GANGFLOW_SHARED_DATASTORE=1`. */
  readonly shared?: boolean
  /** Survive a power cut (fsync). A killed process loses nothing either way. Default true. */
  readonly sync?: boolean
}

/** The embedded datastore: a directory, made at the first write. Synchronous, for those who cannot wait. */
export function openDirectory(root: string, options: DirectoryOptions = {}): Datastore {
  const shared = options.shared ?? process.env['GANGFLOW_SHARED_DATASTORE'] === '1'
  if (!shared) checkTrust(root)
  return new DirectoryStore(root, shared, options.sync ?? true)
}

class DirectoryStore implements Datastore {
  readonly location: string
  readonly #paths: StorePaths
  readonly #disk: Durability
  readonly #blobs: DirectoryBlobs
  readonly #records: DirectoryRecords
  #made: boolean

  constructor(root: string, shared: boolean, sync: boolean) {
    const flags = [shared ? 'shared' : '', sync ? '' : 'nosync'].filter(Boolean).join(',')
    this.location = `dir:${root}${flags === '' ? '' : `?${flags}`}`
    this.#paths = new StorePaths(root)
    const modes = shared ? { file: 0o664, directory: 0o775 } : { file: 0o600, directory: 0o700 }
    this.#disk = new Durability(this.#paths.temp, modes, sync)
    this.#blobs = new DirectoryBlobs(this.#paths, this.#disk)
    this.#records = new DirectoryRecords(this.#paths, this.#disk)
    // Asked while the disk answers: later these calls, which wait as it does, are not needed any more.
    this.#made = existsSync(this.#ignore)
    void this.#disk.near
  }

  putBlob(data: Uint8Array | AsyncIterable<Uint8Array>, options?: PutBlobOptions): Promise<BlobRef> {
    return this.#writing(() => this.#blobs.put(data, options))
  }
  hasBlob(hash: string): Promise<boolean> {
    return this.#blobs.has(hash)
  }
  keepBlob(ref: BlobRef): Promise<boolean> {
    return this.#blobs.keep(ref)
  }
  getBlob(hash: string, options?: { signal?: AbortSignal; progress?: () => void }): Promise<Uint8Array> {
    return this.#blobs.get(hash, options)
  }
  streamBlob(hash: string, options?: { signal?: AbortSignal }): AsyncIterable<Uint8Array> {
    return this.#blobs.stream(hash, options)
  }
  getBlobSync(hash: string): Uint8Array {
    return this.#blobs.getSync(hash)
  }
  openBlobSync(hash: string): BlobReader {
    return this.#blobs.openSync(hash)
  }
  createRecord(key: string, value: Json, options?: WriteOptions): Promise<boolean> {
    return this.#writing(() => this.#records.create(key, value, options))
  }
  putRecord(key: string, value: Json, options?: WriteOptions): Promise<void> {
    return this.#writing(() => this.#records.put(key, value, options))
  }
  readRecord(key: string): Promise<Json | undefined> {
    return this.#records.read(key)
  }
  readRecordSync(key: string): Json | undefined {
    return this.#records.readSync(key)
  }
  listRecords(prefix: string, options?: { depth?: number }): Promise<readonly string[]> {
    return this.#records.list(prefix, options?.depth)
  }
  listChildren(prefix: string): Promise<readonly string[]> {
    return this.#records.children(prefix)
  }
  listChildrenSync(prefix: string): readonly string[] {
    return this.#records.childrenSync(prefix)
  }
  deleteRecord(key: string): Promise<void> {
    return this.#records.delete(key)
  }
  deleteRecords(prefix: string): Promise<void> {
    return this.#writing(() => this.#records.deleteAll(prefix))
  }
  deleteBlob(hash: string, options?: { unlessSince?: number }): Promise<boolean> {
    return this.#writing(() => this.#blobs.delete(hash, options))
  }
  listBlobs(): AsyncIterable<StoredBlob> {
    return this.#blobs.list()
  }
  tidy(before: number): Promise<void> {
    return tidy(this.#paths.temp, before)
  }

  scratch(...segments: string[]): string {
    this.#make()
    const names = segments.flatMap(checkedSegments)
    const near = isNear(names[0]) && !this.#disk.near && nearScratch(this.#paths.root)
    const path = [near || this.#paths.scratch, ...names].join('/')
    try {
      if (near) mkdirSync(path, { recursive: true, mode: 0o700 })
      else this.#disk.makeDirectorySync(path)
    } catch (error) {
      throw storeFailure(error, 'making a scratch directory', path)
    }
    return path
  }

  async close(): Promise<void> {
    try {
      await this.#disk.flush()
    } catch (error) {
      throw storeFailure(error, 'syncing', this.#paths.root)
    }
  }

  async #writing<T>(operation: () => Promise<T>): Promise<T> {
    this.#make()
    return await operation()
  }

  get #ignore(): string {
    return `${this.#paths.root}/.gitignore`
  }

  /** Makes the directory at the first write, with a .gitignore that keeps all of it out of the person's repository. */
  #make(): void {
    if (this.#made) return
    try {
      if (!existsSync(this.#ignore)) {
        this.#disk.makeDirectorySync(this.#paths.root)
        writeFileSync(this.#ignore, '*\n', { flag: 'wx' })
      }
    } catch (error) {
      if (!isTaken(error)) throw storeFailure(error, 'making the directory', this.#paths.root)
    }
    this.#made = true
  }
}
