import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { type FileHandle, open, opendir, readdir, rename, stat, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { BlobReader, BlobRef, PutBlobOptions, StoredBlob } from '../contract.js'
import { corrupt, isAbsent, missingBlob, storeFailure } from '../failures.js'
import { Sha256, sha256 } from '../sha256.js'
import type { Durability } from './durable.js'
import type { StorePaths } from './paths.js'

/** Bytes handled at once; between pieces the event loop gets a turn. */
export const PIECE = 4 << 20

/** Bytes that are written in one call. */
const SMALL = 256 << 10

type Abort = { readonly signal?: AbortSignal | undefined }

/** Immutable bytes by SHA-256. */
export class DirectoryBlobs {
  constructor(
    private readonly paths: StorePaths,
    private readonly disk: Durability,
  ) {}

  async put(data: Uint8Array | AsyncIterable<Uint8Array>, options: PutBlobOptions = {}): Promise<BlobRef> {
    const { signal, durable = true } = options
    signal?.throwIfAborted()
    if (data instanceof Uint8Array && data.length <= PIECE) {
      const ref = { hash: sha256(data), size: data.length }
      if (await this.keep(ref)) return ref
      return data.length <= SMALL
        ? await this.#writeSmall(data, ref, durable)
        : await this.#write([data], signal, durable, ref)
    }
    return await this.#write(data instanceof Uint8Array ? [data] : data, signal, durable)
  }

  async has(hash: string): Promise<boolean> {
    const path = this.paths.blob(hash)
    try {
      await stat(path)
      return true
    } catch (error) {
      if (isAbsent(error)) return false
      throw storeFailure(error, 'looking for a blob', path)
    }
  }

  /** True when the blob is there whole; its age then counts anew, so that a collection under way spares it. */
  async keep(ref: BlobRef): Promise<boolean> {
    const path = this.paths.blob(ref.hash)
    try {
      const found = await this.disk.files.stat(path)
      if (found.size !== ref.size) return false
      if (Date.now() - found.mtimeMs > 60_000) await this.disk.files.touch(path)
      return true
    } catch {
      return false // absent, or another user's: written anew
    }
  }

  async *stream(hash: string, { signal }: Abort = {}): AsyncGenerator<Uint8Array> {
    const path = this.paths.blob(hash)
    const file = await this.#open(hash, path)
    try {
      const sum = new Sha256()
      for (;;) {
        signal?.throwIfAborted()
        const { bytesRead, buffer } = await file.read(Buffer.allocUnsafeSlow(1 << 20), 0, 1 << 20, null)
        if (bytesRead === 0) break
        const piece = buffer.subarray(0, bytesRead)
        sum.update(piece)
        yield piece
      }
      verify(sum, hash, path)
    } catch (error) {
      if (signal?.aborted) throw error
      throw storeFailure(error, 'reading a blob', path)
    } finally {
      await file.close()
    }
  }

  async get(hash: string, { signal, progress }: Abort & { progress?: () => void } = {}): Promise<Uint8Array> {
    const path = this.paths.blob(hash)
    const file = await this.#open(hash, path)
    try {
      const bytes = Buffer.allocUnsafeSlow((await file.stat()).size)
      const sum = new Sha256()
      let offset = 0
      while (offset < bytes.length) {
        signal?.throwIfAborted()
        const { bytesRead } = await file.read(bytes, offset, Math.min(PIECE, bytes.length - offset), offset)
        if (bytesRead === 0) break
        sum.update(bytes.subarray(offset, offset + bytesRead))
        offset += bytesRead
        progress?.()
      }
      verify(sum, hash, path)
      return bytes
    } catch (error) {
      if (signal?.aborted) throw error
      throw storeFailure(error, 'reading a blob', path)
    } finally {
      await file.close()
    }
  }

  /** Sequential and synchronous; the hash is checked when the last byte has been read. */
  openSync(hash: string): BlobReader {
    const path = this.paths.blob(hash)
    let file: number
    try {
      file = openSync(path, 'r')
    } catch (error) {
      throw isAbsent(error) ? missingBlob(hash, path) : storeFailure(error, 'reading a blob', path)
    }
    const sum = new Sha256()
    const size = fstatSync(file).size
    let position = 0
    if (size === 0) verify(sum, hash, path)
    return {
      size,
      readSync(target) {
        for (let offset = 0; offset < target.length; ) {
          let count: number
          try {
            count = readSync(file, target, offset, Math.min(PIECE, target.length - offset), position)
          } catch (error) {
            throw storeFailure(error, 'reading a blob', path)
          }
          if (count === 0) throw corrupt(`blob ${hash.slice(0, 12)}`, path)
          sum.update(target.subarray(offset, offset + count))
          offset += count
          position += count
        }
        if (position === size && target.length > 0) verify(sum, hash, path)
      },
      close: () => closeSync(file),
    }
  }

  getSync(hash: string): Uint8Array {
    const reader = this.openSync(hash)
    try {
      const bytes = Buffer.allocUnsafeSlow(reader.size)
      reader.readSync(bytes)
      return bytes
    } finally {
      reader.close()
    }
  }

  async delete(hash: string, { unlessSince = Number.POSITIVE_INFINITY } = {}): Promise<boolean> {
    const path = this.paths.blob(hash)
    const doomed = this.disk.tempPath()
    try {
      if ((await stat(path)).mtimeMs >= unlessSince) return false
      // Set aside first: a writer that finds it there meanwhile has renewed its age, one that does not writes it anew.
      await this.disk.makeDirectory(this.paths.temp)
      await rename(path, doomed)
      if ((await stat(doomed)).mtimeMs < unlessSince) {
        await unlink(doomed)
        return true
      }
      await rename(doomed, path)
      return false
    } catch (error) {
      if (isAbsent(error)) return true
      throw storeFailure(error, 'deleting a blob', path)
    }
  }

  async *list(): AsyncGenerator<StoredBlob> {
    let fans: string[]
    try {
      fans = (await readdir(this.paths.blobs)).sort()
    } catch (error) {
      if (isAbsent(error)) return
      throw storeFailure(error, 'listing blobs', this.paths.blobs)
    }
    for (const fan of fans) {
      for await (const entry of await opendir(`${this.paths.blobs}/${fan}`)) {
        if (!/^[0-9a-f]{64}$/.test(entry.name)) continue
        const found = await stat(`${this.paths.blobs}/${fan}/${entry.name}`).catch(() => undefined)
        if (found) yield { hash: entry.name, size: found.size, storedAt: found.mtimeMs }
      }
    }
  }

  async #writeSmall(data: Uint8Array, ref: BlobRef, durable: boolean): Promise<BlobRef> {
    let temp: string | undefined
    try {
      temp = await this.disk.create(data, this.#syncsFirst(durable))
      await this.#settle(temp, ref.hash, durable)
      temp = undefined
      return ref
    } catch (error) {
      throw storeFailure(error, 'writing a blob', this.paths.blob(ref.hash))
    } finally {
      if (temp !== undefined) await this.disk.discard(temp)
    }
  }

  /**
   * Whether the bytes go to the disk before the name. Where the name follows them one fsync does for both; what a power
   * cut leaves between the two is too short, hence no blob: it is written anew, and reading verifies.
   */
  #syncsFirst(durable: boolean): boolean {
    return durable && this.disk.enabled && !this.disk.namesFollow
  }

  /** Gives a written file its name. */
  async #settle(temp: string, hash: string, durable: boolean): Promise<void> {
    const path = this.paths.blob(hash)
    await this.disk.inDirectory(path, () => this.disk.files.rename(temp, path))
    const directory = dirname(path)
    this.disk.defer(this.#syncsFirst(durable) ? { directory } : { directory, file: path })
    if (durable) await this.disk.flush()
  }

  async #write(
    data: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
    signal: AbortSignal | undefined,
    durable: boolean,
    known?: BlobRef,
  ): Promise<BlobRef> {
    let temp: string | undefined
    try {
      const made = await this.disk.createTemp()
      temp = made.path
      const written = await writeAll(made.handle, data, signal, known !== undefined, this.#syncsFirst(durable))
      const ref = known ?? { hash: written.hash, size: written.size }
      if (known === undefined && (await this.keep(ref))) return ref
      await this.#settle(temp, ref.hash, durable)
      temp = undefined
      return ref
    } catch (error) {
      if (signal?.aborted) throw error
      throw storeFailure(error, 'writing a blob', temp ?? this.paths.blobs)
    } finally {
      if (temp !== undefined) await this.disk.discard(temp)
    }
  }

  async #open(hash: string, path: string): Promise<FileHandle> {
    try {
      return await open(path, 'r')
    } catch (error) {
      throw isAbsent(error) ? missingBlob(hash, path) : storeFailure(error, 'reading a blob', path)
    }
  }
}

async function writeAll(
  handle: FileHandle,
  data: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
  hashed: boolean,
  sync: boolean,
): Promise<{ hash: string; size: number }> {
  const sum = new Sha256()
  let size = 0
  try {
    for await (const part of data) {
      for (let offset = 0; offset < part.length; offset += PIECE) {
        signal?.throwIfAborted()
        const piece = part.subarray(offset, Math.min(offset + PIECE, part.length))
        // The disk works while the hash is computed.
        const writing = handle.writeFile(piece)
        if (!hashed) sum.update(piece)
        await writing
        size += piece.length
      }
    }
    if (sync) await handle.sync()
  } finally {
    await handle.close()
  }
  return { hash: sum.digest(), size }
}

function verify(sum: Sha256, hash: string, path: string): void {
  if (sum.digest() !== hash) throw corrupt(`blob ${hash.slice(0, 12)}`, path)
}
