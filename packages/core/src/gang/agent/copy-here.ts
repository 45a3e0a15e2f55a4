import { constants } from 'node:fs'
import { chmod, copyFile, type FileHandle, stat } from 'node:fs/promises'
import { contentError } from './copy-chain.js'

/** A file of the sender's host, by which a member of the same host knows it again. */
export interface FileHere {
  readonly path: string
  /** Its device, inode, size and time of change. */
  readonly is: string
}

/** What tells a file, and each change of its content, from any other; it may be renamed meanwhile. */
export async function identityOf(file: string | FileHandle): Promise<string> {
  const { dev, ino, size, mtimeNs } = await (typeof file === 'string'
    ? stat(file, { bigint: true })
    : file.stat({ bigint: true }))
  return [dev, ino, size, mtimeNs].join(' ')
}

/** Whether this member sees that very file at its path. */
export const isHere = async ({ path, is }: FileHere): Promise<boolean> =>
  (await identityOf(path).catch(() => undefined)) === is

/** Copies it within this host, in the kernel where that can. */
export async function copyHere({ path, is }: FileHere, part: string, mode: number): Promise<void> {
  await copyFile(path, part, constants.COPYFILE_EXCL)
  await chmod(part, mode)
  if ((await identityOf(path)) !== is) throw contentError('the file changed while it was copied')
}
