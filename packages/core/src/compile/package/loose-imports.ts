import { readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { nearestPackage, type Package } from '../packages.js'
import type { Part } from './parts.js'

/** Larger code files are not looked into: nobody wrote them by hand. */
const LARGEST = 1 << 20

const code = /\.[cm]?[jt]sx?$/
const specifiers = /\b(?:from|import|require|resolve)\s*\(?\s*(['"])((?:@[\w.-]+\/)?[\w-][\w.-]*)(?:\/[^'"]*)?\1/g

/**
 * Packages that the project's files outside of the bundle import, such as a worker's or a script's, so far as the
 * nearest package.json names them for more than development: `[file, name]`.
 */
export async function dependenciesNamed(
  parts: readonly Part[],
  sources: readonly string[],
): Promise<(readonly [file: string, name: string])[]> {
  const bundled = new Set(sources)
  const manifests = new Map<string, Package | undefined>()
  const named: (readonly [string, string])[] = []
  for (const { folder, files } of parts) {
    for (const { at, source, size } of files) {
      if (bundled.has(at) || size > LARGEST || !code.test(at) || /\.d\.[cm]?ts$/.test(at)) continue
      const owner = nearestPackage(at, manifests)
      // One inside of the folder is another program's: if it were of use here, its source would be in the bundle.
      if (owner && dirname(owner.manifest) !== folder) continue
      const wanted = dependenciesOf(owner)
      if (wanted.size === 0) continue
      const text = await readFile(source, 'utf8').catch(() => '')
      for (const [, , name] of text.matchAll(specifiers)) if (wanted.has(name!)) named.push([at, name!])
    }
  }
  return named
}

function dependenciesOf(owner: Package | undefined): Set<string> {
  const tables = ['dependencies', 'optionalDependencies', 'peerDependencies'].map((field) => owner?.content[field])
  return new Set(tables.flatMap((table) => (typeof table === 'object' && table ? Object.keys(table) : [])))
}
