import { dirname } from 'node:path'
import { GangflowError } from '../errors/base.js'
import { type Core, coreFrom, coreName } from './find-core.js'
import { dependsOn, installedManifest, owningPackage, type Package } from './packages.js'
import type { Pin } from './pin-imports.js'

interface Use {
  readonly importer: string
  readonly core: Core
}

/**
 * Refuses a flow in whose process two copies of core would meet: a step's `current` would be empty and its
 * decorators unseen. Looks at the project's own imports of core, and at each package that names core among its
 * dependencies, with those that it uses in turn.
 */
export function requireOneCore(flow: string, core: Core, pins: readonly Pin[]): void {
  for (const use of usesOfCore(pins)) {
    if (use.core.folder === core.folder) continue
    const one = `${core.version} at ${core.folder}, by ${flow}`
    const other = `${use.core.version} at ${use.core.folder}, by ${use.importer}`
    throw new GangflowError({
      code: 'E_TWO_CORES',
      what: `${coreName} is found at two places: ${one}; ${other}`,
      fix: `let both use one: give them the same range of ${coreName} and run npm dedupe (npm ls ${coreName} shows who brings which)`,
      details: {
        cores: [
          { ...core, importer: flow },
          { ...use.core, importer: use.importer },
        ],
      },
    })
  }
}

function* usesOfCore(pins: readonly Pin[]): Generator<Use> {
  const manifests = new Map<string, Package | undefined>()
  const visited = new Set<string>()
  const queue: string[] = []
  for (const pin of pins) {
    const owner = owningPackage(pin.path, manifests)
    if (owner === undefined) continue
    if (owner.content['name'] !== coreName) queue.push(pin.path)
    else
      yield {
        importer: pin.importer,
        core: { folder: dirname(owner.manifest), version: String(owner.content['version']) },
      }
  }
  for (let path = queue.shift(); path !== undefined; path = queue.shift()) {
    const owner = owningPackage(path, manifests)
    if (owner === undefined || visited.has(owner.manifest) || !dependsOn(owner, coreName)) continue
    visited.add(owner.manifest)
    const core = coreFrom(path)
    if (core !== undefined) yield { importer: owner.manifest, core }
    queue.push(...dependencyManifests(owner))
  }
}

/** The package.json of each dependency, where it is installed. */
function dependencyManifests(owner: Package): string[] {
  const names = Object.keys({
    ...(owner.content['dependencies'] as object | undefined),
    ...(owner.content['peerDependencies'] as object | undefined),
  })
  return names.flatMap((name) => (name === coreName ? [] : (installedManifest(owner.manifest, name) ?? [])))
}
