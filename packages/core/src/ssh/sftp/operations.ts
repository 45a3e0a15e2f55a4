import { constants, type Stats } from 'node:fs'
import {
  chmod,
  link,
  lstat,
  mkdir,
  open,
  opendir,
  readlink,
  rename,
  rmdir,
  stat,
  symlink,
  truncate,
  unlink,
  utimes,
} from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Handles } from './handles.js'
import { longName } from './long-name.js'
import { EndOfFile, status } from './status.js'

/** Attributes as they are sent and asked for; times in seconds. */
export interface Attributes {
  readonly mode?: number
  readonly uid?: number
  readonly gid?: number
  readonly size?: number
  readonly atime?: number
  readonly mtime?: number
}

/** How a request is answered. */
export interface Reply {
  status(id: number, code: number): void
  handle(id: number, handle: Buffer): void
  data(id: number, bytes: Buffer): void
  name(id: number, names: readonly { filename: string; longname: string; attrs: Attributes }[]): void
  attrs(id: number, attributes: Attributes): void
}

export interface SftpPlace {
  readonly home: string
  readonly handles: Handles
  readonly reply: Reply
}

/** Bits of SSH_FXP_OPEN; ssh2 maps only some of their sums to Node's letters. */
const OPEN = { read: 1, write: 2, append: 4, create: 8, truncate: 16, exclusive: 32 } as const
/** Bytes that one answer carries, and names. */
const MOST_BYTES = 255 << 10
const MOST_NAMES = 128

/** What is done for each request, by its name; a rejection becomes a status. */
export function operations({ home, handles, reply }: SftpPlace) {
  const at = (path: string) => resolve(home, path === '' ? '.' : path)
  const done = (id: number) => reply.status(id, status.ok)
  return {
    async OPEN(id: number, path: string, flags: number, wanted: Attributes) {
      const file = await open(at(path), openFlags(flags), wanted.mode === undefined ? 0o666 : wanted.mode & 0o7777)
      reply.handle(id, await handles.add({ file, append: (flags & OPEN.append) !== 0 }))
    },
    async CLOSE(id: number, handle: Buffer) {
      await handles.close(handle)
      done(id)
    },
    async READ(id: number, handle: Buffer, offset: number, length: number) {
      const bytes = Buffer.allocUnsafe(Math.min(length, MOST_BYTES))
      const { bytesRead } = await handles.file(handle).file.read(bytes, 0, bytes.length, offset)
      if (bytesRead === 0 && length > 0) throw new EndOfFile()
      reply.data(id, bytes.subarray(0, bytesRead))
    },
    async WRITE(id: number, handle: Buffer, offset: number, bytes: Buffer) {
      const { file, append } = handles.file(handle)
      for (let sent = 0; sent < bytes.length; ) {
        const { bytesWritten } = await file.write(bytes, sent, bytes.length - sent, append ? null : offset + sent)
        sent += bytesWritten
      }
      done(id)
    },
    async STAT(id: number, path: string) {
      reply.attrs(id, attributesOf(await stat(at(path))))
    },
    async LSTAT(id: number, path: string) {
      reply.attrs(id, attributesOf(await lstat(at(path))))
    },
    async FSTAT(id: number, handle: Buffer) {
      reply.attrs(id, attributesOf(await handles.file(handle).file.stat()))
    },
    async SETSTAT(id: number, path: string, { size, mode, atime, mtime }: Attributes) {
      // Owners are left as they are: this is no root, and a copy belongs to who made it.
      if (size !== undefined) await truncate(at(path), size)
      if (mode !== undefined) await chmod(at(path), mode & 0o7777)
      if (atime !== undefined && mtime !== undefined) await utimes(at(path), atime, mtime)
      done(id)
    },
    async FSETSTAT(id: number, handle: Buffer, { size, mode, atime, mtime }: Attributes) {
      const { file } = handles.file(handle)
      if (size !== undefined) await file.truncate(size)
      if (mode !== undefined) await file.chmod(mode & 0o7777)
      if (atime !== undefined && mtime !== undefined) await file.utimes(atime, mtime)
      done(id)
    },
    async OPENDIR(id: number, path: string) {
      reply.handle(id, await handles.add({ dir: await opendir(at(path)), path: at(path) }))
    },
    async READDIR(id: number, handle: Buffer) {
      const { dir, path } = handles.directory(handle)
      const names: { filename: string; longname: string; attrs: Attributes }[] = []
      while (names.length < MOST_NAMES) {
        const entry = await dir.read()
        if (!entry) break
        const found = await lstat(resolve(path, entry.name)).catch(() => undefined)
        if (found)
          names.push({ filename: entry.name, longname: longName(entry.name, found), attrs: attributesOf(found) })
      }
      if (names.length === 0) throw new EndOfFile()
      reply.name(id, names)
    },
    async REMOVE(id: number, path: string) {
      await unlink(at(path))
      done(id)
    },
    async MKDIR(id: number, path: string, { mode }: Attributes) {
      await mkdir(at(path), mode === undefined ? {} : { mode: mode & 0o7777 })
      done(id)
    },
    async RMDIR(id: number, path: string) {
      await rmdir(at(path))
      done(id)
    },
    async REALPATH(id: number, path: string) {
      reply.name(id, [{ filename: at(path), longname: at(path), attrs: {} }])
    },
    /** Version 3: never over what is there. */
    async RENAME(id: number, from: string, to: string) {
      await link(at(from), at(to)).then(
        () => unlink(at(from)),
        async (error: NodeJS.ErrnoException) => {
          // Directories, and file systems without links.
          if (error.code === 'EEXIST' || (await exists(at(to)))) throw error
          await rename(at(from), at(to))
        },
      )
      done(id)
    },
    async READLINK(id: number, path: string) {
      const target = await readlink(at(path))
      reply.name(id, [{ filename: target, longname: target, attrs: {} }])
    },
    async SYMLINK(id: number, path: string, target: string) {
      await symlink(target, at(path))
      done(id)
    },
  }
}

const exists = async (path: string): Promise<boolean> =>
  lstat(path).then(
    () => true,
    () => false,
  )

function openFlags(flags: number): number {
  const { read, write, append, create, truncate: empty, exclusive } = OPEN
  const access =
    (flags & (read | write)) === (read | write)
      ? constants.O_RDWR
      : flags & (write | append)
        ? constants.O_WRONLY
        : constants.O_RDONLY
  return (
    access |
    (flags & append ? constants.O_APPEND : 0) |
    (flags & create ? constants.O_CREAT : 0) |
    (flags & empty ? constants.O_TRUNC : 0) |
    (flags & exclusive ? constants.O_EXCL : 0)
  )
}

const attributesOf = ({ mode, uid, gid, size, atimeMs, mtimeMs }: Stats): Attributes => ({
  mode,
  uid,
  gid,
  size,
  atime: Math.floor(atimeMs / 1000),
  mtime: Math.floor(mtimeMs / 1000),
})
