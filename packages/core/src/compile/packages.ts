import { existsSync, readFileSync, realpathSync } from 'node:fs'
import { dirname, extname, join } from 'node:path'

/** A package.json and what it says. */
export interface Package {
  readonly manifest: string
  readonly text: string
  readonly content: Readonly<Record<string, unknown>>
}

/** The nearest package.json at or above a file: the one that Node reads its `type` from. */
export function nearestPackage(file: string, seen?: Map<string, Package | undefined>): Package | undefined {
  const folder = dirname(file)
  if (seen?.has(folder)) return seen.get(folder)
  const found =
    readPackage(join(folder, 'package.json')) ?? (folder === file ? undefined : nearestPackage(folder, seen))
  seen?.set(folder, found)
  return found
}

/** The nearest package.json with a name: the package that a file belongs to. */
export function owningPackage(file: string, seen?: Map<string, Package | undefined>): Package | undefined {
  for (let at = file; ; ) {
    const found = nearestPackage(at, seen)
    if (found === undefined || typeof found.content['name'] === 'string') return found
    at = dirname(found.manifest)
  }
}

/** Whether a package names another as something that it uses. */
export function dependsOn(user: Package, name: string): boolean {
  return ['dependencies', 'peerDependencies', 'optionalDependencies'].some((field) => {
    const table = user.content[field]
    return typeof table === 'object' && table !== null && Object.hasOwn(table, name)
  })
}

/** How a file says that it is CommonJS or a module; `unsaid` leaves it to its syntax, as Node does. */
export function declaredFormat(
  file: string,
  seen?: Map<string, Package | undefined>,
): 'module' | 'commonjs' | 'unsaid' {
  const extension = extname(file)
  if (extension === '.mts' || extension === '.mjs') return 'module'
  if (extension === '.cts' || extension === '.cjs') return 'commonjs'
  const type = nearestPackage(file, seen)?.content['type']
  return type === 'module' || type === 'commonjs' ? type : 'unsaid'
}

function readPackage(manifest: string): Package | undefined {
  let text: string
  try {
    text = readFileSync(manifest, 'utf8')
  } catch {
    return undefined
  }
  try {
    return { manifest, text, content: JSON.parse(text) }
  } catch {
    // A broken package.json is esbuild's to report, with its place.
    return { manifest, text, content: {} }
  }
}

/** The package.json of a package as it is installed for an importer, whatever its `exports` hide. */
export function installedManifest(importer: string, name: string): string | undefined {
  for (let folder = dirname(importer); ; folder = dirname(folder)) {
    const manifest = join(folder, 'node_modules', name, 'package.json')
    if (existsSync(manifest)) return realpathSync(manifest)
    if (folder === dirname(folder)) return undefined
  }
}
