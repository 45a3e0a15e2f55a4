import { chmodSync, lstatSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { lstat, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ownerState, thisOwner } from '../datastore/owner.js'
import type { OwnerRecord } from '../datastore/records.js'
import { GangflowError } from '../errors/base.js'
import { connect } from './connect.js'

/** Bytes of a unix socket's path that Linux and macOS both take (DESIGN D2). */
const longestSocketPath = 103

/** How long a directory stays after its owner was first seen dead: agents of its gang may still be ending. */
const KEPT_MS = 5 * 60_000

const parentsOf = (env: NodeJS.ProcessEnv): string[] =>
  [...new Set([env['XDG_RUNTIME_DIR'], '/tmp', tmpdir()])].filter((path): path is string => Boolean(path))

/** A directory of this user alone on a local disk, short enough for sockets: `$XDG_RUNTIME_DIR/gf-…` or `/tmp/gf-…`. */
export function makeRunDirectory(env: NodeJS.ProcessEnv = process.env): string {
  const parents = parentsOf(env)
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
      writeFileSync(join(directory, 'owner'), JSON.stringify(thisOwner()))
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

/** The run directories of this user that nobody else can enter. */
export async function ownRunDirectories(env: NodeJS.ProcessEnv = process.env): Promise<readonly string[]> {
  const found = await Promise.all(
    (await allRunDirectories(env)).map(async (path) => ((await isOwn(path)) ? [path] : [])),
  )
  return found.flat()
}

async function allRunDirectories(env: NodeJS.ProcessEnv): Promise<readonly string[]> {
  const found = await Promise.all(
    parentsOf(env).map(async (parent) => {
      const names = await readdir(parent).catch(() => [] as string[])
      return names.filter((one) => /^gf-[A-Za-z0-9]{6}$/.test(one)).map((name) => join(parent, name))
    }),
  )
  return found.flat()
}

async function isOwn(path: string): Promise<boolean> {
  const found = await lstat(path).catch(() => undefined)
  return found?.isDirectory() === true && found.uid === process.getuid?.() && (found.mode & 0o077) === 0
}

/**
 * Removes the run directories of this user whose owner was killed, once they were seen to be so for five minutes; `now`: also
 * those seen for the first time, where nobody answers at any of their sockets.
 */
export async function sweepRunDirectories(env: NodeJS.ProcessEnv = process.env, now = false): Promise<void> {
  for (const directory of await allRunDirectories(env)) await sweep(directory, now).catch(() => {})
}

async function sweep(directory: string, now: boolean): Promise<void> {
  const found = await lstat(directory)
  if (!found.isDirectory() || found.uid !== process.getuid?.()) return
  const owner = JSON.parse(await readFile(join(directory, 'owner'), 'utf8')) as OwnerRecord
  if (ownerState(owner) !== 'dead') return
  const seen = await stat(join(directory, 'dead')).catch(() => undefined)
  if (seen === undefined) await writeFile(join(directory, 'dead'), '', { flag: 'wx' })
  const long = seen !== undefined && Date.now() - seen.mtimeMs >= KEPT_MS
  if (long || (now && !(await anyoneIn(directory)))) await rm(directory, { recursive: true, force: true })
}

/** Whether a process answers at a socket in the directory: an agent or a body that has not ended yet. */
async function anyoneIn(directory: string): Promise<boolean> {
  const found = await readdir(directory, { recursive: true, withFileTypes: true })
  const sockets = found.filter((entry) => entry.isSocket()).map((entry) => join(entry.parentPath, entry.name))
  const answers = (path: string) =>
    connect(path, 1_000).then(
      (socket) => socket.destroy(),
      () => undefined,
    )
  return (await Promise.all(sockets.map(answers))).some((socket) => socket !== undefined)
}
