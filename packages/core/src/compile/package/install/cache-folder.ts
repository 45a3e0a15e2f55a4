import { chmod, lstat, mkdir, realpath, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { GangflowError, messageOf } from '../../../errors/base.js'
import { userCache } from '../../../errors/user-cache.js'

/** Where a host keeps delivered code; all paths are absolute and real. */
export interface CodeCache {
  readonly root: string
  /** Files by content: `FILES/ab/HASH`, with `x` added for an executable. */
  readonly files: string
  /** Copies of packages: `TREES/ID.N`. */
  readonly trees: string
  readonly locks: string
  /** For what is not yet whole; on the same disk as the rest. */
  readonly temp: string
}

/** `$XDG_CACHE_HOME/gangflow/code` or `~/.cache/gangflow/code`. */
export const defaultCodeCache = (env: NodeJS.ProcessEnv = process.env): string => userCache('code', env)

/** Makes it where it is missing; of this user alone, for code is run from it. Throws E_CODE_CACHE. */
export async function openCodeCache(directory: string): Promise<CodeCache> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 })
    const root = await realpath(directory)
    const facts = await lstat(root)
    const uid = process.getuid?.() ?? facts.uid
    if (facts.uid !== uid) throw refused(directory, `it belongs to another user (uid ${facts.uid})`)
    if (facts.mode & 0o022) throw refused(directory, 'others may write to it')
    if (facts.mode & 0o077) await chmod(root, 0o700)
    const cache = {
      root,
      files: join(root, 'files'),
      trees: join(root, 'trees'),
      locks: join(root, 'locks'),
      temp: join(root, 'temp'),
    }
    const { files, trees, locks, temp } = cache
    await Promise.all([files, trees, locks, temp].map((folder) => mkdir(folder, { mode: 0o700 }).catch(unlessThere)))
    // Where Node's search for a file's package.json ends, if the project has none: not at one of the host's.
    await writeFile(join(trees, 'package.json'), '{}\n', { flag: 'wx' }).catch(unlessThere)
    return cache
  } catch (error) {
    throw cacheFailure(error, directory)
  }
}

const unlessThere = (error: NodeJS.ErrnoException): void => {
  if (error.code !== 'EEXIST') throw error
}

const refused = (directory: string, why: string) =>
  new GangflowError({
    code: 'E_CODE_CACHE',
    what: `${directory} cannot keep the code that was sent: ${why}`,
    fix: `make it your own: chown and chmod 700 ${directory}, or let the backend use another directory (workdir=)`,
  })

const meanings: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full',
  EDQUOT: "the user's quota is used up",
  EROFS: 'the disk is read-only',
  EACCES: 'it may not be written',
  EPERM: 'it may not be written',
  ENOTDIR: 'a file stands in its way',
  EEXIST: 'a file stands in its way',
  ENOENT: 'it cannot be made, or a part of it was removed meanwhile',
}

/** What the disk refused, as E_CODE_CACHE; anything else as it is. */
export function cacheFailure(error: unknown, directory: string): unknown {
  const why = meanings[(error as NodeJS.ErrnoException | null)?.code ?? '']
  if (GangflowError.is(error) || why === undefined) return error
  return new GangflowError(
    {
      code: 'E_CODE_CACHE',
      what: `the code that was sent cannot be kept in ${directory}: ${why} (${messageOf(error)})`,
      fix: 'make room there, or let the backend use another directory of the host (workdir=)',
      details: { directory },
    },
    { cause: error },
  )
}
