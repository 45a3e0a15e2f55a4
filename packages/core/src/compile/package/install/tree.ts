import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import {
  chmod,
  copyFile,
  link,
  mkdir,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Datastore } from '../../../datastore/contract.js'
import { GangflowError } from '../../../errors/base.js'
import { bundleName } from '../../bundle-flow.js'
import { scriptName } from '../../load-script.js'
import type { LocalFlow } from '../contract.js'
import { each } from '../each.js'
import type { FileEntry, Manifest, PartIndex, Template } from '../manifest.js'
import { fill } from '../template.js'
import type { CodeCache } from './cache-folder.js'
import { cachedPath, isSound, UNTOUCHED } from './file-cache.js'

/** A copy on disk: `root/` has the places, `flow/` the bundle, `tree.json` what is in it. */
interface TreeFacts {
  readonly flow: string
  readonly core: string
  readonly files: readonly FileEntry[]
  readonly links: PartIndex['links']
  /** Bytes of the files that it shares with no other. */
  readonly ownBytes: number
}

export interface LaidPart {
  readonly index: PartIndex
  /** Steps may write in it: it gets files of its own. */
  readonly own: boolean
}

const AT_ONCE = 16

/** The newest copy of this package in which nobody has changed what was delivered. `tick`: called for each file. */
export async function soundTree({ trees }: CodeCache, id: string, tick: () => void): Promise<LocalFlow | undefined> {
  for (const folder of (await copiesOf(trees, id)).reverse()) {
    const tree = join(trees, folder)
    try {
      const facts = JSON.parse(await readFile(join(tree, 'tree.json'), 'utf8')) as TreeFacts
      let whole = true
      await each(facts.files, AT_ONCE, async (entry) => {
        if (whole && !(await isSound(join(tree, entry[0]), entry))) whole = false
        tick()
      })
      for (const [place, target] of facts.links)
        if (whole && (await readlink(join(tree, place)).catch(() => '')) !== target) whole = false
      if (!whole) continue
      await use(tree)
      return flowIn(tree, facts)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' && !(error instanceof SyntaxError)) throw error
    }
  }
  return undefined
}

/** Makes a new copy from the cache's files; it is there whole or not at all. */
export async function makeTree(
  cache: CodeCache,
  id: string,
  manifest: Manifest,
  parts: readonly LaidPart[],
  store: Datastore,
  signal: AbortSignal,
  tick: () => void,
): Promise<LocalFlow> {
  const last = Number((await copiesOf(cache.trees, id)).at(-1)?.split('.')[1] ?? 0)
  const tree = join(cache.trees, `${id}.${last + 1}`)
  const making = join(cache.temp, `tree-${process.pid}-${Math.random().toString(36).slice(2)}`)
  try {
    const root = join(making, 'root')
    for (const { index } of parts) await layFolders(root, index)
    for (const { index, own } of parts) {
      await each(index.files, AT_ONCE, async (entry) => {
        signal.throwIfAborted()
        await layFile(cachedPath(cache, entry), join(root, entry[0]), entry, own)
        tick()
      })
      for (const [place, target] of index.links) await symlink(target, join(root, place))
    }
    const inRoot = <T extends readonly [string, ...unknown[]]>([place, ...rest]: T) =>
      [`root/${place}`, ...rest] as never
    const facts: TreeFacts = {
      flow: manifest.flow,
      core: manifest.core,
      files: [
        ...(await layBundle(making, join(tree, 'root'), manifest, store, signal)),
        ...parts.flatMap(({ index }): FileEntry[] => index.files.map(inRoot)),
      ],
      links: parts.flatMap(({ index }): PartIndex['links'] => index.links.map(inRoot)),
      ownBytes: parts.reduce((sum, { index, own }) => sum + (own ? bytesIn(index) : 0), 0),
    }
    await writeFile(join(making, 'tree.json'), JSON.stringify(facts))
    await use(making)
    await rename(making, tree)
    return flowIn(tree, facts)
  } finally {
    await rm(making, { recursive: true, force: true })
  }
}

const bytesIn = ({ files }: PartIndex): number => files.reduce((sum, [, size]) => sum + size, 0)

/** Bytes of a copy's own files; 0 where it does not say. */
export async function ownBytesOf(tree: string): Promise<number> {
  const text = await readFile(join(tree, 'tree.json'), 'utf8').catch(() => '{}')
  return (JSON.parse(text) as Partial<TreeFacts>).ownBytes ?? 0
}

/** Numbers count up; in order. */
async function copiesOf(trees: string, id: string): Promise<string[]> {
  const names = (await readdir(trees)).filter((name) => name.startsWith(`${id}.`))
  return names.sort((a, b) => Number(a.split('.')[1]) - Number(b.split('.')[1]))
}

/** Says that it is in use, for whoever makes room. */
export const use = async (tree: string): Promise<void> => writeFile(join(tree, 'used'), '')

const flowIn = (tree: string, { flow, core }: Pick<TreeFacts, 'flow' | 'core'>): LocalFlow => ({
  file: join(tree, 'root', flow),
  bundle: join(tree, 'flow', bundleName),
  core: join(tree, 'root', core),
})

async function layFolders(root: string, { files, links, folders }: PartIndex): Promise<void> {
  const places = [...files.map(([place]) => place), ...links.map(([place]) => place)]
  for (const place of [...places, ...folders]) {
    if (place.startsWith('/') || place.split('/').includes('..')) throw outside(place)
  }
  const needed = new Set([...places.map((place) => dirname(place)), ...folders])
  await each([...needed].sort(), AT_ONCE, async (folder) => void (await mkdir(join(root, folder), { recursive: true })))
}

async function layFile(cached: string, path: string, [, , , mode]: FileEntry, own: boolean): Promise<void> {
  if (!own) {
    try {
      return await link(cached, path)
    } catch (error) {
      // Too many links, or a disk that has none.
      if (!['EMLINK', 'EPERM', 'ENOTSUP', 'ENOSYS', 'EXDEV'].includes((error as NodeJS.ErrnoException).code ?? ''))
        throw error
    }
  }
  await copyFile(cached, path, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE)
  await chmod(path, mode === 'x' ? 0o755 : 0o644)
  await utimes(path, UNTOUCHED, UNTOUCHED)
  // In use, for whoever makes room: its facts have changed.
  await utimes(cached, UNTOUCHED, UNTOUCHED)
}

/** Lays the bundle, its map and its script beside each other. `root`: where the places will be. */
async function layBundle(
  making: string,
  root: string,
  { code, script, map }: Manifest,
  store: Datastore,
  signal: AbortSignal,
): Promise<FileEntry[]> {
  const textOf = async ({ blob, slots }: Template) =>
    Buffer.from(fill(Buffer.from(await store.getBlob(blob.hash, { signal })).toString('utf8'), slots, root))
  const contents = [
    [bundleName, await textOf(code)],
    [`${bundleName}.map`, await store.getBlob(map.hash, { signal })],
    [scriptName(bundleName), script ? await textOf(script) : Buffer.alloc(0)],
  ] as const
  await mkdir(join(making, 'flow'), { recursive: true })
  const entries: FileEntry[] = []
  for (const [name, bytes] of contents) {
    const path = join(making, 'flow', name)
    await writeFile(path, bytes)
    await utimes(path, UNTOUCHED, UNTOUCHED)
    entries.push([`flow/${name}`, bytes.length, createHash('sha256').update(bytes).digest('hex')])
  }
  return entries
}

const outside = (place: string) =>
  new GangflowError({
    code: 'E_CODE_BROKEN',
    what: `the package of the flow has a place outside of itself: ${place}`,
    fix: 'see who may write to the datastore',
  })
