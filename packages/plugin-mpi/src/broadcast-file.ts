import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { chmod, copyFile, mkdir, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path'
import type { GangContext } from '@gangflow/core/plugin'
import { onlyKnown, wrong } from './checks.js'
import type { MpiBroadcastOptions, MpiBroadcastResult } from './options.js'
import { note } from './record.js'
import type { Session } from './session.js'

const where = 'current.mpi.broadcastFile'
const names: readonly (keyof MpiBroadcastOptions)[] = ['to', 'timeout']

/** The control's file, on every member. */
export async function broadcastFile(
  session: Session,
  path: string,
  options: MpiBroadcastOptions = {},
): Promise<MpiBroadcastResult> {
  const began = performance.now()
  const { gang } = session
  const number = ++session.calls
  if (typeof path !== 'string' || /\0|^$/.test(path)) throw wrong(where, 'its path', path, 'the path of a file')
  if (typeof options !== 'object' || options === null) throw wrong(where, 'its second argument', options, 'an object')
  onlyKnown(where, options, names)
  const { to, timeout } = options
  if (to !== undefined && (typeof to !== 'string' || /\0|^$|\/$/.test(to)))
    throw wrong(where, 'to', to, 'the path of a file')
  const source = resolve(gang.flowDir, path)
  const facts = await stat(source).catch(() => undefined)
  if (!facts?.isFile())
    throw wrong(where, 'its path', path, 'a file that is on the control, relative to the folder of the flow')
  const target = targetOf(gang.flowDir, to ?? source)
  await placeHere(source, resolve(gang.flowDir, target), facts.mode & 0o777).catch((cause: unknown) => {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw wrong(where, 'to', target, `a path that the control can write to: ${why}`, cause)
  })
  const shared = await sharing(gang, target, `mpi-shared-${number}`)
  const others = gang.roster.entries.map(({ node }) => node).filter((node) => node !== gang.nodeIndex)
  const copied = others.filter((node) => !shared.includes(node))
  await note(gang, `mpi-broadcast-${number}`, { source, target, bytes: facts.size, copied, shared })
  const limit = timeout === undefined ? {} : { timeout }
  if (copied.length > 0) await gang.copy(source, { to: target, nodes: copied, ...limit })
  return { path: target, bytes: facts.size, copied, shared, durationMs: performance.now() - began }
}

/** Relative where it is in the working directory, which each member has at a place of its own. */
function targetOf(flowDir: string, path: string): string {
  const inside = relative(flowDir, resolve(flowDir, path))
  return inside.startsWith('..') || isAbsolute(inside) ? resolve(flowDir, path) : inside
}

/** The control has it at `to` as well: written beside it, then renamed, since a program may run from there. */
async function placeHere(source: string, target: string, mode: number): Promise<void> {
  if (source === target) return
  await mkdir(dirname(target), { recursive: true })
  const part = join(dirname(target), `.${basename(target)}.${randomBytes(6).toString('hex')}.part`)
  try {
    await copyFile(source, part, constants.COPYFILE_EXCL)
    await chmod(part, mode)
    await rename(part, target)
  } catch (error) {
    await rm(part, { force: true })
    throw error
  }
}

/**
 * Nodes for whom the control's file is there already: members of its host, or of a network disk that both have. Told by
 * inode, size and time of change to the nanosecond; who answers otherwise gets a copy.
 */
async function sharing(gang: GangContext, target: string, name: string): Promise<number[]> {
  if (gang.numNodes === 1) return []
  const argv = ['stat', '-L', '-c', '%i %s %z', '--', target]
  const env = { TZ: 'UTC', LC_ALL: 'C' }
  // Who has no such command gets a copy; so do then all.
  const ends = await gang.exec('all', { name, argv, env, show: false }).catch(() => [])
  const own = ends.find(({ node }) => node === gang.nodeIndex)
  if (own?.exitCode !== 0) return []
  return ends
    .filter((end) => end.node !== gang.nodeIndex && end.exitCode === 0 && end.stdout === own.stdout)
    .map(({ node }) => node)
}
