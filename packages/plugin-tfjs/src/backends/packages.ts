import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { GangflowError } from '@gangflow/core'
import { type BackendName, backends } from './names.js'

/** The files that the program's imports of TensorFlow.js come to. */
export interface Packages {
  /** Of `@tensorflow/tfjs`. */
  readonly tfjs: string
  /** Of the backend's package; undefined: it is not installed. */
  readonly backend: string | undefined
  /** Version of the one `@tensorflow/tfjs-core`. */
  readonly version: string
}

const own = import.meta.url
const core = '@tensorflow/tfjs-core'

/**
 * Resolves TensorFlow.js and a backend as the flow in that folder would, else as this package does.
 * Errors: `E_TF_MISSING`; `E_TF_COPIES` where they would use different copies of tfjs-core, which do not know each
 * other's tensors and settings.
 */
export function findPackages(folder: string, backend: BackendName): Packages {
  const flow = join(folder, 'flow.js')
  const tfjs = resolve(flow, '@tensorflow/tfjs') ?? resolve(own, '@tensorflow/tfjs')
  if (tfjs === undefined)
    throw new GangflowError({
      code: 'E_TF_MISSING',
      what: `@tensorflow/tfjs is not installed in ${folder} or above`,
      fix: 'npm install @tensorflow/tfjs',
    })
  const { package: name } = backends[backend]
  const found = resolve(flow, name) ?? resolve(own, name)
  const seen = new Map<string, string[]>()
  const see = (by: string, file: string | undefined) => {
    if (file === undefined) return
    seen.set(file, [...(seen.get(file) ?? []), by])
  }
  see('@tensorflow/tfjs', resolve(tfjs, core))
  const ofThis = resolve(own, '@tensorflow/tfjs')
  if (ofThis) see('@gangflow/plugin-tfjs', resolve(ofThis, core))
  if (found && backend !== 'cpu') {
    see(name, resolve(found, core))
    const inside = resolve(found, '@tensorflow/tfjs')
    if (inside) see(name, resolve(inside, core))
  }
  if (seen.size > 1)
    throw new GangflowError({
      code: 'E_TF_COPIES',
      what: `there is more than one ${core}: ${[...seen].map(([file, by]) => `${by.join(' and ')} ${by.length > 1 ? 'have' : 'has'} ${versionOf(file)} in ${packageOf(file)}`).join(', ')}`,
      fix: `give all packages of @tensorflow the same version, then npm dedupe; npm ls ${core} shows who brings which`,
    })
  return { tfjs, backend: found, version: versionOf(resolve(tfjs, core) ?? tfjs) }
}

/** The real path of what an import in that file comes to; undefined where it is not installed. */
function resolve(from: string, name: string): string | undefined {
  try {
    return createRequire(from).resolve(name)
  } catch {
    return undefined
  }
}

/** The folder of the package that a file belongs to. */
export function packageOf(file: string): string {
  for (let folder = dirname(file); ; folder = dirname(folder)) {
    const manifest = read(join(folder, 'package.json'))
    if (manifest?.name || dirname(folder) === folder) return folder
  }
}

export const versionOf = (file: string): string => read(join(packageOf(file), 'package.json'))?.version ?? 'unknown'

function read(file: string): { name?: string; version?: string } | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as { name?: string; version?: string }
  } catch {
    return undefined
  }
}
