import { messageOf } from '../../errors/base.js'

/** Codes of SSH_FXP_STATUS, version 3. */
export const status = { ok: 0, eof: 1, noSuchFile: 2, denied: 3, failure: 4, unsupported: 8 } as const

/** The end of a file or of a directory's list: an answer, told as a status. */
export class EndOfFile extends Error {}

/** What an error is for the other side. */
export function statusOf(error: unknown): { code: number; message: string } {
  if (error instanceof EndOfFile) return { code: status.eof, message: 'End of file' }
  const { code } = error as NodeJS.ErrnoException
  const message = messageOf(error)
  if (code === 'ENOENT' || code === 'ENOTDIR') return { code: status.noSuchFile, message }
  if (code === 'EACCES' || code === 'EPERM') return { code: status.denied, message }
  return { code: status.failure, message }
}
