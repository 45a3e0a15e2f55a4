import { type Dirent, readdirSync, readFileSync } from 'node:fs'
import { readdir, rename, rm, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import { GangflowError } from '../../errors/base.js'
import type { Json } from '../../flow/values.js'
import type { WriteOptions } from '../contract.js'
import { corrupt, isAbsent, isTaken, storeFailure } from '../failures.js'
import type { Durability } from './durable.js'
import { recordOf, type StorePaths, segmentOf } from './paths.js'

/** Small JSON records, one file each. A record is written whole below `tmp/` and appears by link() or rename(). */
export class DirectoryRecords {
  constructor(
    private readonly paths: StorePaths,
    private readonly disk: Durability,
  ) {}

  async create(key: string, value: Json, options: WriteOptions = {}): Promise<boolean> {
    const path = this.paths.record(key)
    return await this.#guard(`creating record ${key}`, path, async () => {
      const temp = await this.#writeTemp(value, options)
      let created: boolean
      try {
        created = await this.#linkAbsent(temp, path)
      } finally {
        await this.disk.discard(temp)
      }
      if (created) await this.#settle(path, options)
      return created
    })
  }

  async put(key: string, value: Json, options: WriteOptions = {}): Promise<void> {
    const path = this.paths.record(key)
    await this.#guard(`writing record ${key}`, path, async () => {
      const temp = await this.#writeTemp(value, options)
      try {
        await this.disk.inDirectory(path, () => this.disk.files.rename(temp, path))
      } catch (error) {
        await this.disk.discard(temp)
        throw error
      }
      await this.#settle(path, options)
    })
  }

  async read(key: string): Promise<Json | undefined> {
    const path = this.paths.record(key)
    await this.disk.breathe()
    try {
      return parse(await this.disk.files.read(path), key, path)
    } catch (error) {
      if (isAbsent(error)) return undefined
      throw storeFailure(error, `reading record ${key}`, path)
    }
  }

  readSync(key: string): Json | undefined {
    const path = this.paths.record(key)
    try {
      return parse(readFileSync(path, 'utf8'), key, path)
    } catch (error) {
      if (isAbsent(error)) return undefined
      throw storeFailure(error, `reading record ${key}`, path)
    }
  }

  async list(prefix: string, depth = Number.POSITIVE_INFINITY): Promise<string[]> {
    const keys: string[] = []
    const start = prefix.replace(/\/$/, '')
    const visit = async (directory: string, key: string, left: number): Promise<void> => {
      const below: Promise<void>[] = []
      for (const entry of await this.#entries(directory)) {
        const child = (segment: string) => (key === '' ? segment : `${key}/${segment}`)
        if (entry.isDirectory()) {
          if (left > 1) below.push(visit(`${directory}/${entry.name}`, child(segmentOf(entry.name)), left - 1))
        } else {
          const segment = recordOf(entry.name)
          if (segment !== undefined) keys.push(child(segment))
        }
      }
      await Promise.all(below)
    }
    await visit(this.paths.prefix(start), start, depth)
    return keys.sort()
  }

  async children(prefix: string): Promise<string[]> {
    return segmentsOf(await this.#entries(this.paths.prefix(prefix)))
  }

  childrenSync(prefix: string): string[] {
    const directory = this.paths.prefix(prefix)
    try {
      return segmentsOf(readdirSync(directory, { withFileTypes: true }))
    } catch (error) {
      if (isAbsent(error)) return []
      throw storeFailure(error, 'listing', directory)
    }
  }

  async delete(key: string): Promise<void> {
    const path = this.paths.record(key)
    try {
      await unlink(path)
      this.disk.defer({ directory: dirname(path) })
    } catch (error) {
      if (!isAbsent(error)) throw storeFailure(error, `deleting record ${key}`, path)
    }
  }

  async deleteAll(prefix: string): Promise<void> {
    const directory = this.paths.prefix(prefix)
    const doomed = this.disk.tempPath()
    try {
      try {
        await rename(directory, doomed)
      } catch (error) {
        if (!isAbsent(error)) throw error
        await this.disk.makeDirectory(this.paths.temp)
        await rename(directory, doomed)
      }
      this.disk.defer({ directory: dirname(directory) })
      await rm(doomed, { recursive: true, force: true })
    } catch (error) {
      if (!isAbsent(error)) throw storeFailure(error, `deleting the records of ${prefix}`, directory)
    }
  }

  async #entries(directory: string) {
    try {
      return await readdir(directory, { withFileTypes: true })
    } catch (error) {
      if (isAbsent(error)) return []
      throw storeFailure(error, 'listing', directory)
    }
  }

  async #writeTemp(value: Json, { durable = true }: WriteOptions): Promise<string> {
    const writing = this.disk.create(JSON.stringify(value), durable)
    if (!durable || !this.disk.enabled) return await writing
    // What was deferred earlier reaches the disk before this record can be seen.
    const flushing = this.disk.flush()
    flushing.catch(() => {})
    const temp = await writing
    try {
      await flushing
      return temp
    } catch (error) {
      await this.disk.discard(temp)
      throw error
    }
  }

  async #linkAbsent(temp: string, path: string): Promise<boolean> {
    try {
      await this.disk.inDirectory(path, () => this.disk.files.link(temp, path))
      return true
    } catch (error) {
      if (isTaken(error)) {
        // A network file system may repeat a call that had succeeded: two names then mean that this one is ours.
        return (await this.disk.files.stat(temp)).nlink > 1
      }
      const code = (error as NodeJS.ErrnoException).code
      if (code === 'EPERM' || code === 'ENOTSUP' || code === 'EOPNOTSUPP' || code === 'EMLINK') {
        throw new GangflowError(
          {
            code: 'E_DATASTORE_FILESYSTEM',
            what: `the file system of ${this.paths.root} has no hard links, which creating a record safely needs`,
            fix: 'put the datastore on a POSIX file system (ext4, xfs, btrfs, apfs, nfs) with --datastore',
            details: { path: this.paths.root, errno: code },
          },
          { cause: error },
        )
      }
      throw error
    }
  }

  async #settle(path: string, options: WriteOptions): Promise<void> {
    if (options.durable === false) return this.disk.defer({ file: path, directory: dirname(path) })
    this.disk.defer({ directory: dirname(path) })
    await this.disk.flush()
  }

  async #guard<T>(doing: string, path: string, operation: () => Promise<T>): Promise<T> {
    try {
      return await operation()
    } catch (error) {
      throw storeFailure(error, doing, path)
    }
  }
}

function segmentsOf(entries: readonly Dirent[]): string[] {
  const names = new Set<string>()
  for (const entry of entries) {
    const segment = entry.isDirectory() ? segmentOf(entry.name) : recordOf(entry.name)
    if (segment !== undefined) names.add(segment)
  }
  return [...names].sort()
}

function parse(text: string, key: string, path: string): Json {
  try {
    return JSON.parse(text) as Json
  } catch (error) {
    throw corrupt(`record ${key}`, path, error)
  }
}
