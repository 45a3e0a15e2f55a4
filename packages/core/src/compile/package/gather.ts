import { dirname, relative } from 'node:path'
import type { BundleUses } from '../contract.js'
import { coreName } from '../find-core.js'
import { nearestPackage } from '../packages.js'
import type { PackageOptions } from './contract.js'
import { Links } from './links.js'
import { dependenciesNamed } from './loose-imports.js'
import { installed, packageParts } from './package-parts.js'
import type { Part } from './parts.js'
import { isWithin, projectParts } from './project-parts.js'

/** Everything of this machine that a flow needs on another. */
export interface Gathered {
  readonly parts: readonly Part[]
  /** Absolute; places in the copy are from here: no path leads above it. */
  readonly base: string
  /** Milliseconds since 1970. */
  readonly listedAt: number
  /** Whether a path is a file that travels, or the folder of a source. */
  has(path: string): boolean
}

/**
 * Lists what travels; reads nothing of it but names, sizes and package.json files. `without`: folders that stay here
 * whatever the rules say.
 */
export async function gather(
  flow: { readonly file: string; readonly core: string; readonly uses: BundleUses },
  addons: readonly string[],
  options: PackageOptions & { readonly without?: readonly string[] },
  signal?: AbortSignal,
): Promise<Gathered> {
  const listedAt = Date.now()
  const links = new Links()
  const own = await projectParts(flow.file, flow.uses.sources, options, signal)
  const loose = await dependenciesNamed(own, flow.uses.sources)
  const owned = new Set(own.flatMap(({ files }) => files.map(({ at }) => at)))
  const asked = (options.include ?? []).flatMap((pattern) => packageNamed(pattern) ?? [])
  const byName = [...loose, ...asked.map((name) => [flow.file, name] as const)]
  const roots = [
    ...flow.uses.pinned,
    ...addons,
    ...byName.flatMap(([from, name]) => installed(from, name, links) ?? []),
  ]
  // As Node finds them when a file asks at run time; core, for what the packages import of it.
  for (const path of roots) linkBack(path, flow.file, links)
  for (const name of [coreName, ...own.map((part) => part.name)]) installed(flow.file, name, links)
  const packages = await packageParts(
    roots.filter((path) => !owned.has(path)),
    flow.core,
    links,
    signal,
  )
  const parts = merged([...own, ...packages])
  const all = [...parts, linkPart(links, parts)]
  const paths = all.flatMap((part) => [...part.files.map(({ at }) => at), ...part.links.map(([at]) => at)])
  const named = new Set([...paths, ...flow.uses.sources.map(dirname)])
  return {
    parts: all,
    listedAt,
    base: commonFolder([flow.core, dirname(flow.file), ...paths.map(dirname)]),
    has: (path) => named.has(path),
  }
}

/** The package that a pattern of `include` asks for: `node_modules/NAME`. */
const packageNamed = (pattern: string): string | undefined =>
  /^\/?node_modules\/((?:@[^/]+\/)?[^/@][^/]*)\/?$/.exec(pattern)?.[1]

/** The link by which an importer in the project finds the package that a pin leads to, where there is one. */
function linkBack(path: string, flow: string, links: Links): void {
  const name = nearestPackageName(path)
  if (name !== undefined) installed(flow, name, links)
}

function nearestPackageName(path: string): string | undefined {
  const name = nearestPackage(path)?.content['name']
  return typeof name === 'string' ? name : undefined
}

/** Each file once: a workspace package may be in the flow's folder, or reached by its source and as a dependency. */
function merged(parts: readonly Part[]): Part[] {
  const seen = new Set<string>()
  const fresh = (at: string) => !seen.has(at) && seen.add(at) !== undefined
  return parts.map((part) => ({
    ...part,
    files: part.files.filter(({ at }) => fresh(at)),
    links: part.links.filter(([at]) => fresh(at)),
  }))
}

/** The links between the parts, and the package.json files around them that say how Node reads a file. */
function linkPart(links: Links, parts: readonly Part[]): Part {
  const made = new Set(parts.flatMap(({ links: own }) => own.map(([at]) => at)))
  const found = [...links.found].filter(([at]) => !made.has(at)).sort()
  return {
    name: 'links',
    kind: 'core',
    folder: '/',
    files: [],
    links: found.map(([at, target]) => [at, relative(dirname(at), target)] as const),
    folders: [],
  }
}

function commonFolder(folders: readonly string[]): string {
  let common = folders[0]!
  for (const folder of folders) while (!isWithin(common, folder) && common !== '/') common = dirname(common)
  return common
}
