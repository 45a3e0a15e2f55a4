import type { Stats } from 'node:fs'
import { lstat, readdir, readlink, realpath, stat } from 'node:fs/promises'
import { dirname, isAbsolute, join, relative, resolve } from 'node:path'
import { GangflowError, messageOf } from '../../errors/base.js'
import type { Part, PartFile } from './parts.js'

export interface WalkRules<R> {
  readonly rules: R
  leaves(rules: R, path: string, isFolder: boolean): boolean
  /** Whether a folder that is left out is entered all the same; nothing is kept of it but what is not left out. */
  enters?(rules: R, path: string): boolean
  within(rules: R, folder: string): Promise<R>
}

/** A project of more files is none: its folder is a home, or holds data. */
const MOST_FILES = 100_000

type Found = Pick<Part, 'files' | 'links' | 'folders'>

/** Everything below a folder that is not left out, in the order of names. */
export async function walk<R>(root: string, { rules, ...how }: WalkRules<R>, signal?: AbortSignal): Promise<Found> {
  const found = { files: [] as PartFile[], links: [] as [string, string][], folders: [] as string[] }
  const visit = async (folder: string, above: R): Promise<void> => {
    signal?.throwIfAborted()
    if (found.files.length > MOST_FILES) throw tooMany(root, found.files)
    const inner = await how.within(above, folder)
    const entries = await readdir(folder, { withFileTypes: true }).catch(unlessGone(folder))
    entries.sort((a, b) => (a.name < b.name ? -1 : 1))
    let kept = 0
    const kinds = await Promise.all(entries.map((entry) => lstat(join(folder, entry.name)).catch(() => undefined)))
    for (const [index, { name }] of entries.entries()) {
      const path = join(folder, name)
      const facts = kinds[index]
      if (!facts) continue
      const left = how.leaves(inner, path, facts.isDirectory())
      if (facts.isDirectory()) {
        if (left && !how.enters?.(inner, path)) continue
        if (!left) kept += 1
        await visit(path, inner)
      } else if (!left && facts.isSymbolicLink()) kept += await addLink(root, path, found)
      else if (!left && facts.isFile()) kept += found.files.push(fileOf(path, path, facts))
    }
    // A step may write into a folder that is empty now.
    if (kept === 0 && folder !== root && !how.leaves(above, folder, true)) found.folders.push(folder)
  }
  await visit(root, rules)
  return found
}

export const fileOf = (at: string, source: string, facts: Stats): PartFile => ({
  at,
  source,
  size: facts.size,
  executable: (facts.mode & 0o100) !== 0,
  stamp: `${facts.size} ${facts.mtimeMs} ${facts.ctimeMs} ${facts.ino} ${facts.mode & 0o100}`,
  changedAt: Math.max(facts.mtimeMs, facts.ctimeMs),
})

/**
 * A link inside of the folder stays one. A file elsewhere travels as a file; a folder elsewhere does not travel: its
 * link is kept as it is, for a disk that the hosts have too.
 */
async function addLink(root: string, path: string, found: { files: PartFile[]; links: [string, string][] }) {
  const target = await readlink(path)
  const absolute = resolve(dirname(path), target)
  const inside = !relative(root, absolute).startsWith('..')
  if (inside) found.links.push([path, relative(dirname(path), absolute) || '.'])
  else {
    const real = await realpath(path).catch(() => undefined)
    const facts = real === undefined ? undefined : await stat(real)
    if (real !== undefined && facts?.isFile()) found.files.push(fileOf(path, real, facts))
    else if (isAbsolute(target)) found.links.push([path, target])
    else return 0
  }
  return 1
}

function tooMany(root: string, files: readonly PartFile[]): GangflowError {
  const counts = new Map<string, number>()
  for (const { at } of files) {
    const first = relative(root, at).split('/')[0]!
    counts.set(first, (counts.get(first) ?? 0) + 1)
  }
  const most = [...counts].sort(([, a], [, b]) => b - a).slice(0, 5)
  return new GangflowError({
    code: 'E_CODE_LIMIT',
    what: `${root}, which is the folder of the flow's package.json, has more than ${MOST_FILES} files to be sent to hosts; most are in ${most.map(([name, count]) => `${name} (${count})`).join(', ')}`,
    fix: `name what the steps do not read in ${root}/.gangflowignore, or give the flow's folder a package.json of its own`,
  })
}

const unlessGone = (folder: string) => (cause: NodeJS.ErrnoException) => {
  if (cause.code === 'ENOENT') return []
  throw new GangflowError(
    {
      code: 'E_CODE_UNREADABLE',
      what: `${folder} cannot be read for the hosts: ${messageOf(cause)}`,
      fix: 'let it be read, or leave it out: name it in .gangflowignore',
    },
    { cause },
  )
}
