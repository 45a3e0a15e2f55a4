import { randomBytes } from 'node:crypto'
import { constants, mkdirSync } from 'node:fs'
import { type FileHandle, mkdir, open } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { isAbsent } from '../failures.js'

/**
 * Temporary files and what has to reach the disk. `defer` remembers files and directories; `flush` syncs all of them
 * at once, each once, however many writers asked meanwhile (on journaling file systems that is one commit).
 */
export class Durability {
  #files = new Set<string>()
  #directories = new Set<string>()
  #flushing: Promise<void> | undefined
  #next: Promise<void> | undefined
  #counter = 0
  readonly #prefix = `${process.pid}-${randomBytes(4).toString('hex')}`

  constructor(
    readonly temp: string,
    readonly modes: { readonly file: number; readonly directory: number },
    readonly enabled: boolean,
  ) {}

  /** A name below `tmp/` that nothing has. */
  tempPath(): string {
    return join(this.temp, `${this.#prefix}-${this.#counter++}`)
  }

  /** A new file below `tmp/`, open for writing. */
  async createTemp(mode = this.modes.file): Promise<{ path: string; handle: FileHandle }> {
    const path = this.tempPath()
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL
    try {
      return { path, handle: await open(path, flags, mode) }
    } catch (error) {
      if (!isAbsent(error)) throw error
      await this.makeDirectory(this.temp)
      return { path, handle: await open(path, flags, mode) }
    }
  }

  /** Makes a directory and its parents, and remembers those whose entries changed. */
  async makeDirectory(path: string): Promise<void> {
    this.#noteCreated(await mkdir(path, { recursive: true, mode: this.modes.directory }), path)
  }

  makeDirectorySync(path: string): void {
    this.#noteCreated(mkdirSync(path, { recursive: true, mode: this.modes.directory }), path)
  }

  #noteCreated(first: string | undefined, path: string): void {
    if (first === undefined || !this.enabled) return
    for (let made = path; made.length >= first.length; made = dirname(made)) this.#directories.add(dirname(made))
  }

  defer(paths: { file?: string; directory?: string }): void {
    if (!this.enabled) return
    if (paths.file !== undefined) this.#files.add(paths.file)
    if (paths.directory !== undefined) this.#directories.add(paths.directory)
  }

  /** Settles when everything deferred before the call is on disk. */
  flush(): Promise<void> {
    if (this.#files.size + this.#directories.size === 0) return this.#flushing ?? Promise.resolve()
    // One flush runs at a time; who comes during it shares the next.
    this.#next ??= (this.#flushing ?? Promise.resolve())
      .catch(() => {})
      .then(() => {
        this.#flushing = this.#next
        this.#next = undefined
        return this.#flushNow()
      })
      .finally(() => {
        this.#flushing = undefined
      })
    return this.#next
  }

  async #flushNow(): Promise<void> {
    const files = [...this.#files]
    const directories = [...this.#directories]
    this.#files.clear()
    this.#directories.clear()
    try {
      // Contents before names: a name never outlives its bytes after a power cut.
      await Promise.all(files.map(syncPath))
      await Promise.all(directories.map(syncPath))
    } catch (error) {
      for (const file of files) this.#files.add(file)
      for (const directory of directories) this.#directories.add(directory)
      throw error
    }
  }
}

async function syncPath(path: string): Promise<void> {
  let handle: FileHandle
  try {
    handle = await open(path, constants.O_RDONLY)
  } catch (error) {
    if (isAbsent(error)) return // replaced or deleted since
    throw error
  }
  try {
    await handle.sync()
  } catch (error) {
    // Some network and FUSE file systems cannot sync a directory.
    const code = (error as NodeJS.ErrnoException).code
    if (code !== 'EINVAL' && code !== 'ENOTSUP' && code !== 'EISDIR') throw error
  } finally {
    await handle.close()
  }
}
