import { existsSync, realpathSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Datastore } from '../../datastore/contract.js'
import { nearestPackage, owningPackage, type Package } from '../packages.js'
import { IgnoreRules } from './ignore-rules.js'
import type { Part, PartFile } from './parts.js'
import { fileOf, walk } from './walk.js'

/** Whether a path is a folder or below it. */
export const isWithin = (folder: string, path: string): boolean => path === folder || path.startsWith(`${folder}/`)

/** The folder of a datastore on this machine: it may lie in the project, and never travels. */
export function foldersOf({ location }: Pick<Datastore, 'location'>): string[] {
  const path = /^dir:(.*?)(?:\?[a-z,]+)?$/.exec(location)?.[1]
  return path !== undefined && existsSync(path) ? [realpathSync(path)] : []
}

/** The flow's own folder: that of the nearest package.json, else the file's. */
export const projectFolder = (flow: string): string => dirname(nearestPackage(flow)?.manifest ?? flow)

/**
 * The project's own files: the flow's folder, and of each workspace package whose source is in the bundle what
 * `npm pack` would take. Other source files (a shared file above the flow's folder) travel alone.
 */
export async function projectParts(
  flow: string,
  sources: readonly string[],
  options: { include?: readonly string[]; exclude?: readonly string[]; without?: readonly string[] },
  signal?: AbortSignal,
): Promise<Part[]> {
  const without = new Set(options.without)
  const root = projectFolder(flow)
  const rules = await IgnoreRules.of(root, foldersAbove(root), options)
  const own = await walk(
    root,
    {
      rules,
      leaves: (at, path, isFolder) => without.has(path) || at.leaves(path, isFolder),
      enters: (at, path) => !without.has(path) && at.mayHold(path),
      within: (at, folder) => at.within(folder),
    },
    signal,
  )
  const parts: Part[] = [{ name: nameOf(nearestPackage(flow)) ?? 'project', kind: 'project', folder: root, ...own }]
  const seen = new Map<string, Package | undefined>()
  const others = new Set<string>([root])
  for (const source of sources) {
    const owner = owningPackage(source, seen)
    const folder = owner && dirname(owner.manifest)
    // A package around the flow's own would bring everything beside it.
    if (folder === undefined || others.has(folder) || isWithin(folder, root)) continue
    others.add(folder)
    parts.push(await workspacePart(owner!, signal))
  }
  const there = new Set(parts.flatMap(({ files }) => files.map(({ at }) => at)))
  const alone = sources.filter((source) => !there.has(source))
  if (alone.length > 0) parts.push(await loneFiles(root, alone))
  return parts
}

/** A package of the project that is imported by its name. */
export async function workspacePart(owner: Package, signal?: AbortSignal): Promise<Part> {
  const folder = dirname(owner.manifest)
  const listed = owner.content['files']
  // As npm has it: a list of files stands over .gitignore.
  const only = Array.isArray(listed) ? ['/*', '!/package.json', ...listed.map((one) => turned(String(one)))] : undefined
  const rules = await IgnoreRules.of(folder, only ? [] : foldersAbove(folder), only ? { exclude: only } : {})
  const found = await walk(
    folder,
    {
      rules,
      leaves: (at, path, isFolder) => at.leaves(path, isFolder),
      within: async (at, inner) => (only ? at : at.within(inner)),
    },
    signal,
  )
  return { name: nameOf(owner) ?? folder, kind: 'project', folder, ...found }
}

/** A pattern of `files` as one of what is left out; of a deeper one its first folder, whole. */
function turned(pattern: string): string {
  const [, not, rest] = /^(!?)(?:\.?\/)?(.*)$/.exec(pattern) as unknown as [string, string, string]
  return not ? `/${rest}` : `!/${rest.split('/')[0]}`
}

async function loneFiles(root: string, sources: readonly string[]): Promise<Part> {
  const files: PartFile[] = []
  const manifests = sources.flatMap((source) => nearestPackage(source)?.manifest ?? [])
  for (const path of [...new Set([...sources, ...manifests])].sort()) files.push(fileOf(path, path, await stat(path)))
  return { name: 'shared sources', kind: 'project', folder: root, files, links: [], folders: [] }
}

/** From the top of the repository to the folder's parent: their .gitignore counts too. */
function foldersAbove(root: string): string[] {
  const folders: string[] = []
  for (let at = root; ; at = dirname(at)) {
    if (existsSync(join(at, '.git'))) return folders
    if (dirname(at) === at) return []
    folders.unshift(dirname(at))
  }
}

const nameOf = (owner: Package | undefined): string | undefined => {
  const name = owner?.content['name']
  return typeof name === 'string' ? name : undefined
}
