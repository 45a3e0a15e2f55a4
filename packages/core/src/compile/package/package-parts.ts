import { existsSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { type CoreFiles, coreFiles } from '../core-files.js'
import { coreName } from '../find-core.js'
import { nearestPackage, owningPackage, type Package } from '../packages.js'
import type { Links } from './links.js'
import type { Part } from './parts.js'
import { workspacePart } from './project-parts.js'
import { fileOf, walk } from './walk.js'

/**
 * The packages that own these files, whole, and what they depend on in turn as Node resolves it from each: optional
 * and peer dependencies that are there too. Links on the way are noted in `links`.
 */
export async function packageParts(
  files: readonly string[],
  core: string,
  links: Links,
  signal?: AbortSignal,
): Promise<Part[]> {
  const seen = new Map<string, Package | undefined>()
  const reached = new Map<string, Package>()
  const queue: Package[] = []
  const reach = (file: string) => {
    const owner = packageOf(file, seen)
    if (owner === undefined || reached.has(owner.manifest)) return
    reached.set(owner.manifest, owner)
    // Most of core's own dependencies serve the launcher alone.
    if (owner.content['name'] !== coreName) queue.push(owner)
  }
  const dist = join(core, 'dist')
  const entries = files.flatMap((path) => (dirname(path) === dist ? basename(path) : []))
  const loaded = await coreFiles(core, ['body.cjs', 'index.js', 'plugin.js', ...entries])
  const needed = loaded.packages.flatMap((name) => installed(join(core, 'package.json'), name, links) ?? [])
  for (const file of [...files, ...needed]) reach(file)
  for (let owner = queue.shift(); owner !== undefined; owner = queue.shift()) {
    for (const name of dependenciesOf(owner)) {
      const manifest = installed(owner.manifest, name, links)
      if (manifest !== undefined) reach(manifest)
    }
  }
  const owners = [...reached.values()].filter(({ manifest }) => dirname(manifest) !== core)
  const parts: Part[] = []
  for (const owner of owners.sort((a, b) => (a.manifest < b.manifest ? -1 : 1))) {
    const inModules = owner.manifest.includes('/node_modules/')
    parts.push(inModules ? await packagePart(owner, signal) : await workspacePart(owner, signal))
  }
  return [...parts, await corePart(core, loaded)]
}

/** By its folder in node_modules: a package may have further package.json files in it. Else by the name's. */
function packageOf(file: string, seen: Map<string, Package | undefined>): Package | undefined {
  const folder = /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+\//.exec(file)?.[0]
  return (folder && nearestPackage(join(folder, 'package.json'))) || owningPackage(file, seen)
}

function dependenciesOf({ content }: Package): string[] {
  const tables = ['dependencies', 'optionalDependencies', 'peerDependencies'].map((field) => content[field])
  return [...new Set(tables.flatMap((table) => (typeof table === 'object' && table ? Object.keys(table) : [])))]
}

/** The package.json of a dependency: in the nearest node_modules that has it, as Node looks for it. */
export function installed(importer: string, name: string, links: Links): string | undefined {
  for (let folder = dirname(importer); ; folder = dirname(folder)) {
    if (basename(folder) !== 'node_modules') {
      const manifest = join(folder, 'node_modules', name, 'package.json')
      if (existsSync(manifest)) return links.follow(manifest)
    }
    if (folder === dirname(folder)) return undefined
  }
}

/** A package's own files; what is in its node_modules is reached as its dependency. */
async function packagePart(owner: Package, signal?: AbortSignal): Promise<Part> {
  const folder = dirname(owner.manifest)
  const found = await walk(
    folder,
    { rules: undefined, leaves: (_, path) => basename(path) === 'node_modules', within: async () => undefined },
    signal,
  )
  const { name, version } = owner.content as { name: string; version?: unknown }
  return {
    name,
    kind: 'package',
    folder,
    ...(typeof version === 'string' ? { version } : {}),
    ...found,
  }
}

/** What a body and its flow load of core; the launcher's own modules stay here. */
async function corePart(core: string, loaded: CoreFiles): Promise<Part> {
  const files = await Promise.all(
    loaded.files.map(async (place) => fileOf(join(core, place), join(core, place), await stat(join(core, place)))),
  )
  const version = nearestPackage(join(core, 'package.json'))?.content['version']
  return { name: coreName, version: String(version), kind: 'core', folder: core, files, links: [], folders: [] }
}
