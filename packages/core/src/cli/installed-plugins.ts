import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { messageOf } from '../errors/base.js'
import type { StepPlugin } from '../plugin/contract.js'

export interface InstalledPlugin {
  readonly name: string
  readonly version: string
  readonly kind: 'plugin' | 'backend'
  /** `ok`, or why it cannot be used. */
  readonly status: string
  /** The decorators that it exports. */
  readonly decorators: readonly StepPlugin[]
}

interface Manifest {
  readonly name?: string
  readonly version?: string
  readonly dependencies?: Record<string, string>
  readonly devDependencies?: Record<string, string>
  readonly gangflow?: { readonly apiVersion?: number; readonly kind?: 'plugin' | 'backend' }
}

/** The direct dependencies of the package around a folder that carry a `gangflow` field. */
export async function findPlugins(folder: string): Promise<InstalledPlugin[]> {
  const root = await nearestPackage(folder)
  if (root === undefined) return []
  const { dependencies, devDependencies } = root.manifest
  const names = Object.keys({ ...dependencies, ...devDependencies }).sort()
  const found = await Promise.all(names.map((name) => inspect(root.folder, name)))
  return found.filter((plugin) => plugin !== undefined)
}

async function inspect(from: string, name: string): Promise<InstalledPlugin | undefined> {
  const folder = installedFolder(from, name)
  if (folder === undefined) return undefined
  const manifest = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as Manifest
  const mark = manifest.gangflow
  if (mark === undefined) return undefined
  const entry = { name, version: manifest.version ?? '?', kind: mark.kind ?? 'plugin', decorators: [] } as const
  if (mark.apiVersion !== 1) return { ...entry, status: `needs plugin API ${mark.apiVersion}; this core has 1` }
  try {
    const resolved = createRequire(join(from, 'package.json')).resolve(name)
    const module = (await import(pathToFileURL(resolved).href)) as Record<string, { readonly plugin?: StepPlugin }>
    const decorators = Object.values(module).flatMap((value) => value?.plugin ?? [])
    return { ...entry, status: 'ok', decorators }
  } catch (error) {
    return { ...entry, status: messageOf(error).split('\n')[0]! }
  }
}

function installedFolder(from: string, name: string): string | undefined {
  for (const folder of createRequire(join(from, 'package.json')).resolve.paths(name) ?? []) {
    try {
      return dirname(createRequire(join(folder, name, 'package.json')).resolve('./package.json'))
    } catch {
      // Not in this node_modules; the next one up.
    }
  }
  return undefined
}

async function nearestPackage(folder: string): Promise<{ folder: string; manifest: Manifest } | undefined> {
  for (let at = folder; ; at = dirname(at)) {
    const text = await readFile(join(at, 'package.json'), 'utf8').catch(() => undefined)
    if (text !== undefined) return { folder: at, manifest: JSON.parse(text) as Manifest }
    if (dirname(at) === at) return undefined
  }
}
