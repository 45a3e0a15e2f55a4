import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { installedManifest } from '../compile/packages.js'
import { GangflowError, messageOf } from '../errors/base.js'
import type { BackendFactory } from '../gang/contract.js'

/** Backends that core brings along, each loaded at first need. */
export type BuiltIn = Readonly<Record<string, () => Promise<BackendFactory>>>

/**
 * The backend of a name: core's own, else `@gangflow/backend-NAME`, `gangflow-backend-NAME`, or NAME as a whole
 * package, resolved from the flow's folder. Throws `E_BACKEND_UNKNOWN` or `E_BACKEND_LOAD`.
 */
export async function loadBackend(name: string, flowFile: string, builtIn: BuiltIn): Promise<BackendFactory> {
  const own = builtIn[name]
  if (own) return await own()
  const tried = candidates(name)
  for (const specifier of tried) {
    const path = await resolvePackage(specifier, flowFile)
    if (path !== undefined) return await importFactory(specifier, path)
  }
  throw new GangflowError({
    code: 'E_BACKEND_UNKNOWN',
    what: `there is no backend '${name}': neither core nor ${tried.join(', ')} from ${dirname(flowFile)}`,
    fix: `use one of ${Object.keys(builtIn).join(', ')}, or install its package in the flow's project`,
  })
}

function candidates(name: string): string[] {
  const short = /^[a-z0-9][a-z0-9._-]*$/.test(name)
  const whole = /^(@[a-z0-9._~-]+\/)?[a-z0-9._~-]+$/.test(name)
  return [...(short ? [`@gangflow/backend-${name}`, `gangflow-backend-${name}`] : []), ...(whole ? [name] : [])]
}

/** The file that an import of the package gives; `require` answers for those that have one, `exports` for the rest. */
async function resolvePackage(specifier: string, flowFile: string): Promise<string | undefined> {
  const manifest = installedManifest(flowFile, specifier)
  if (manifest === undefined) return undefined
  const { exports, main } = JSON.parse(await readFile(manifest, 'utf8')) as { exports?: unknown; main?: string }
  const entry = importTarget(exports)
  if (entry !== undefined) return join(dirname(manifest), entry)
  if (main !== undefined) return join(dirname(manifest), main)
  return createRequire(flowFile).resolve(specifier)
}

function importTarget(exports: unknown): string | undefined {
  if (typeof exports === 'string') return exports
  if (Array.isArray(exports)) return exports.map(importTarget).find((target) => target !== undefined)
  if (typeof exports !== 'object' || exports === null) return undefined
  for (const [condition, target] of Object.entries(exports)) {
    if (!['.', 'node', 'import', 'default'].includes(condition)) continue
    const found = importTarget(target)
    if (found !== undefined) return found
  }
  return undefined
}

async function importFactory(specifier: string, path: string): Promise<BackendFactory> {
  let module: { default?: unknown; createBackend?: unknown }
  try {
    module = await import(pathToFileURL(path).href)
  } catch (cause) {
    throw new GangflowError(
      {
        code: 'E_BACKEND_LOAD',
        what: `backend ${specifier} cannot be loaded: ${messageOf(cause)}`,
        fix: 'reinstall the package, or report it to its author',
      },
      { cause },
    )
  }
  const factory = module.createBackend ?? module.default
  if (typeof factory === 'function') return factory as BackendFactory
  throw new GangflowError({
    code: 'E_BACKEND_LOAD',
    what: `${specifier} is no backend: it exports neither createBackend nor a function as its default`,
    fix: 'name a package that is a gangflow backend',
  })
}
