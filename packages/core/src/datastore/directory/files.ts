import * as fs from 'node:fs'
import * as async from 'node:fs/promises'
import { dirname } from 'node:path'
import { promisify } from 'node:util'
import { isAbsent } from '../failures.js'

type Maybe<T> = T | Promise<T>

/**
 * The calls that small files need. On a disk of this machine they are made synchronously: each takes some
 * microseconds, while handing it to another thread takes more than that. On anything else (a network file system may
 * take seconds, or hang) they are asynchronous. Whatever waits for the disk itself (fsync) is asynchronous always.
 */
export interface Files {
  /** A new file with this content; on disk, if `sync`. */
  create(path: string, content: string | Uint8Array, mode: number, sync: boolean): Promise<void>
  read(path: string): Maybe<string>
  link(from: string, to: string): Maybe<void>
  rename(from: string, to: string): Maybe<void>
  unlink(path: string): Maybe<void>
  stat(path: string): Maybe<fs.Stats>
  touch(path: string): Maybe<void>
  /** Waits until a file or directory is on disk. */
  sync(path: string): Promise<void>
  /** With its parents; the first that had to be made. */
  mkdir(path: string, mode: number): Maybe<string | undefined>
}

const flags = fs.constants.O_WRONLY | fs.constants.O_CREAT | fs.constants.O_EXCL
const fsync = promisify(fs.fsync)

const local: Files = {
  async create(path, content, mode, sync) {
    const file = fs.openSync(path, flags, mode)
    try {
      fs.writeFileSync(file, content)
      if (sync) await fsync(file)
    } finally {
      fs.closeSync(file)
    }
  },
  read: (path) => fs.readFileSync(path, 'utf8'),
  link: fs.linkSync,
  rename: fs.renameSync,
  unlink: fs.unlinkSync,
  stat: (path) => fs.statSync(path),
  touch(path) {
    const now = new Date()
    fs.utimesSync(path, now, now)
  },
  async sync(path) {
    const file = fs.openSync(path, 'r')
    try {
      await fsync(file)
    } finally {
      fs.closeSync(file)
    }
  },
  mkdir: (path, mode) => fs.mkdirSync(path, { recursive: true, mode }),
}

const remote: Files = {
  async create(path, content, mode, sync) {
    const file = await async.open(path, flags, mode)
    try {
      await file.writeFile(content)
      if (sync) await file.sync()
    } finally {
      await file.close()
    }
  },
  read: (path) => async.readFile(path, 'utf8'),
  link: async.link,
  rename: async.rename,
  unlink: async.unlink,
  stat: (path) => async.stat(path),
  async touch(path) {
    const now = new Date()
    await async.utimes(path, now, now)
  },
  async sync(path) {
    const file = await async.open(path, 'r')
    try {
      await file.sync()
    } finally {
      await file.close()
    }
  },
  mkdir: (path, mode) => async.mkdir(path, { recursive: true, mode }),
}

/** Types of file systems, as statfs(2) gives them on Linux. */
const journaled = new Set([0xef53 /* ext4 */, 0x58465342 /* xfs */, 0x9123683e /* btrfs */])
const otherLocal = new Set([
  0x01021994 /* tmpfs */, 0x794c7630 /* overlay */, 0x2fc12fc1 /* zfs */, 0xf2f52010 /* f2fs */,
])

export interface Disk {
  readonly files: Files
  /**
   * True where fsync of a file brings its names and the directories above to the disk too, so that those need no
   * fsync of their own.
   */
  readonly journaled: boolean
  /** False where a call may take seconds, or never come back: a network file system, or what is not known. */
  readonly near: boolean
}

/** What the disk below a path is like; the path need not be there yet. */
export function diskBelow(path: string): Disk {
  for (let at = path; ; at = dirname(at)) {
    try {
      // Where the type is a signed number, the highest bit is set.
      const type = process.platform === 'linux' ? fs.statfsSync(at).type >>> 0 : 0
      const known = journaled.has(type)
      const near = known || otherLocal.has(type)
      return { files: near ? local : remote, journaled: known, near }
    } catch (error) {
      if (!isAbsent(error) || dirname(at) === at) return { files: remote, journaled: false, near: false }
    }
  }
}
