import { existsSync, readFileSync, realpathSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { GangflowError } from '../errors/base.js'
import { nearestPackage } from './packages.js'

export const coreName = '@gangflow/core'

/** A copy of core on disk. */
export interface Core {
  /** Real path of its folder. */
  readonly folder: string
  readonly version: string
}

/** The core that Node's resolution gives to an importer; undefined when there is none. */
export function coreFrom(importer: string): Core | undefined {
  try {
    const manifest = realpathSync(createRequire(importer).resolve(`${coreName}/package.json`))
    return { folder: dirname(manifest), version: JSON.parse(readFileSync(manifest, 'utf8')).version }
  } catch {
    return undefined
  }
}

/** The core that the flow resolves, or a named error with the command that installs it. */
export function findCore(flow: string): Core {
  const core = coreFrom(flow)
  if (core !== undefined) return core
  throw new GangflowError({
    code: 'E_CORE_MISSING',
    what: `${flow} cannot find ${coreName}: none is installed in its folder or above`,
    fix: `run: cd ${dirname(nearestPackage(flow)?.manifest ?? flow)} && npm install ${coreName}`,
    details: { file: flow },
  })
}

/** The copy of core that this code belongs to. */
export function runningCore(): Core {
  const found = nearestPackage(fileURLToPath(import.meta.url))
  if (found === undefined) throw new Error('core is not inside its package')
  return { folder: dirname(realpathSync(found.manifest)), version: String(found.content['version']) }
}

/** A built entry of that core, such as `describe.js`, or a named error when that copy has none. */
export function coreEntry(core: Core, entry: string): string {
  const path = join(core.folder, 'dist', entry)
  if (existsSync(path)) return path
  throw new GangflowError({
    code: 'E_CORE_INCOMPATIBLE',
    what: `${coreName} ${core.version} at ${core.folder} has no dist/${entry}`,
    fix: `run: npm install ${coreName}@${runningCore().version} (or npm run build, where it is a checkout)`,
    details: { core: core.folder },
  })
}
