import { constants, mkdirSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { isAbsent } from '../failures.js'
import { type Disk, diskBelow, type Files } from './files.js'

/** Milliseconds of synchronous calls at a stretch. */
const TURN = 5

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
  #disk: Disk | undefined
  #breathed = 0
  /** Of this process alone, also where hosts share the disk. */
  readonly #prefix = `${process.pid}-${process.hrtime.bigint().toString(36)}-${Math.random().toString(36).slice(2)}`

  constructor(
    readonly temp: string,
    readonly modes: { readonly file: number; readonly directory: number },
    readonly enabled: boolean,
  ) {}

  get files(): Files {
    return this.#below().files
  }

  /** True where fsync of a file brings its name to the disk too. */
  get namesFollow(): boolean {
    return this.#below().journaled
  }

  /** True where nobody waits for another machine. */
  get near(): boolean {
    return this.#below().near
  }

  #below(): Disk {
    this.#disk ??= diskBelow(this.temp)
    return this.#disk
  }

  /** Lets others have a turn where calls that do not wait have followed each other for long. */
  breathe(): Promise<void> | undefined {
    const now = performance.now()
    if (now - this.#breathed < TURN) return undefined
    this.#breathed = now
    return new Promise((resume) => setImmediate(resume))
  }

  /** A name below `tmp/` that nothing has. */
  tempPath(): string {
    return join(this.temp, `${this.#prefix}-${this.#counter++}`)
  }

  /** A new file below `tmp/` with this content. */
  async create(content: string | Uint8Array, sync: boolean): Promise<string> {
    await this.breathe()
    const path = this.tempPath()
    const write = () => this.files.create(path, content, this.modes.file, sync && this.enabled)
    try {
      try {
        await write()
      } catch (error) {
        if (!isAbsent(error)) throw error
        await this.makeDirectory(this.temp)
        await write()
      }
      return path
    } catch (error) {
      await this.discard(path)
      throw error
    }
  }

  async discard(path: string): Promise<void> {
    try {
      await this.files.unlink(path)
    } catch {
      // Not there, or not to be removed: `tidy` sees to it.
    }
  }

  /** Runs what needs the target's directory, making that when it is absent. */
  async inDirectory(path: string, operation: () => Promise<void> | void): Promise<void> {
    try {
      await operation()
    } catch (error) {
      if (!isAbsent(error)) throw error
      await this.makeDirectory(dirname(path))
      await operation()
    }
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
    this.#noteCreated(await this.files.mkdir(path, this.modes.directory), path)
  }

  makeDirectorySync(path: string): void {
    this.#noteCreated(mkdirSync(path, { recursive: true, mode: this.modes.directory }), path)
  }

  #noteCreated(first: string | undefined, path: string): void {
    if (first === undefined || !this.enabled || this.namesFollow) return
    for (let made = path; made.length >= first.length; made = dirname(made)) this.#directories.add(dirname(made))
  }

  /** A name that changed in a directory, and a file that is new under it if its bytes are not yet on disk. */
  defer({ file, directory }: { file?: string; directory: string }): void {
    if (!this.enabled) return
    if (file !== undefined) this.#files.add(file)
    if (file === undefined || !this.namesFollow) this.#directories.add(directory)
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
      await Promise.all(files.map((path) => syncPath(this.files, path)))
      await Promise.all(directories.map((path) => syncPath(this.files, path)))
    } catch (error) {
      for (const file of files) this.#files.add(file)
      for (const directory of directories) this.#directories.add(directory)
      throw error
    }
  }
}

async function syncPath(files: Files, path: string): Promise<void> {
  try {
    await files.sync(path)
  } catch (error) {
    if (isAbsent(error)) return // replaced or deleted since
    // Some network and FUSE file systems cannot sync a directory.
    const code = (error as NodeJS.ErrnoException).code
    if (code !== 'EINVAL' && code !== 'ENOTSUP' && code !== 'EISDIR') throw error
  }
}
