import { chmodSync, lstatSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { GangflowError } from '../errors/base.js'

/** Bytes of a unix socket's path that Linux and macOS both take (DESIGN D2). */
const longestSocketPath = 103

/** A directory of this user alone on a local disk, short enough for sockets: `$XDG_RUNTIME_DIR/gf-…` or `/tmp/gf-…`. */
export function makeRunDirectory(env: NodeJS.ProcessEnv = process.env): string {
  const parents = [env['XDG_RUNTIME_DIR'], '/tmp', tmpdir()].filter((path): path is string => Boolean(path))
  let cause: unknown
  for (const parent of parents) {
    if (Buffer.byteLength(join(parent, 'gf-XXXXXX', 'host')) > longestSocketPath) continue
    try {
      const directory = mkdtempSync(join(parent, 'gf-'))
      chmodSync(directory, 0o700)
      const found = lstatSync(directory)
      if (!found.isDirectory() || found.uid !== process.getuid?.() || (found.mode & 0o077) !== 0) {
        rmSync(directory, { recursive: true, force: true })
        continue
      }
      return directory
    } catch (error) {
      cause = error
    }
  }
  throw new GangflowError(
    {
      code: 'E_RUN_DIRECTORY',
      what: `no place for sockets: tried ${parents.join(', ')}`,
      fix: 'set XDG_RUNTIME_DIR to a short directory of your own on a local disk, with room and mode 0700',
    },
    { cause },
  )
}
