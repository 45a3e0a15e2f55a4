import { GangflowError } from '../errors/base.js'

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException | undefined)?.code

/** True when the file system says that nothing is there. */
export const isAbsent = (error: unknown): boolean => codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR'

/** True when the name is taken. */
export const isTaken = (error: unknown): boolean => codeOf(error) === 'EEXIST'

/** What the file system refused, as a named error; anything else (an abort, a source that failed) passes through. */
export function storeFailure(error: unknown, doing: string, path: string): unknown {
  const code = codeOf(error)
  if (GangflowError.is(error) || (error as NodeJS.ErrnoException | undefined)?.syscall === undefined) return error
  const details = { path, errno: code }
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
    case 'EFBIG':
      return new GangflowError(
        {
          code: 'E_DATASTORE_FULL',
          what: `no space left for ${doing} in the datastore (${path})`,
          fix: 'free space or quota on that disk (`gangflow gc --keep 10` drops old runs), then resume the run',
          details,
        },
        { cause: error },
      )
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new GangflowError(
        {
          code: 'E_DATASTORE_PERMISSION',
          what: `${doing} in the datastore is not permitted (${path})`,
          fix: 'make the directory writable for yourself, or choose another with --datastore',
          details,
        },
        { cause: error },
      )
    default:
      return new GangflowError(
        {
          code: 'E_DATASTORE_IO',
          what: `${doing} in the datastore failed: ${code} (${path})`,
          fix: 'check the disk or the mount that the path lies on',
          details,
        },
        { cause: error },
      )
  }
}

/** Bytes that are not what their name or form says. */
export function corrupt(what: string, path: string, cause?: unknown): GangflowError {
  return new GangflowError(
    {
      code: 'E_DATASTORE_CORRUPT',
      what: `${what} is corrupt (${path})`,
      fix: 'the disk or someone changed it: remove that file and run the step again (`gangflow resume`)',
      details: { path },
    },
    { cause },
  )
}

/** A blob that a record names and that is not there. */
export function missingBlob(hash: string, path: string): GangflowError {
  return new GangflowError({
    code: 'E_DATASTORE_BLOB_MISSING',
    what: `blob ${hash.slice(0, 12)} is not in the datastore (${path})`,
    fix: 'it was deleted, or the datastore was copied in part: run the step again that made it',
    details: { hash, path },
  })
}
