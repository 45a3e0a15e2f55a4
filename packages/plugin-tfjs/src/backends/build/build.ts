import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { GangflowError } from '@gangflow/core'
import { cacheFolder } from '../cache.js'
import { findPackages } from '../packages.js'
import { probe } from '../probe.js'
import { compileAddon, fetchPackage, place } from './addon.js'
import type { Telling } from './steps.js'
import { findTensorFlow } from './tensorflow.js'

export interface BuildOptions extends Telling {
  /** A folder of the project. */
  readonly folder: string
  /** Of an installed TensorFlow. */
  readonly tensorflow?: string
  /** Builds it even where one loads. */
  readonly rebuild?: boolean
  readonly env: NodeJS.ProcessEnv
}

/**
 * Has `@tensorflow/tfjs-node` load in a project, where need be built against TensorFlow's own libraries. What was made
 * once lies in the user's cache: after `npm ci` it is only put in place again. Says what was found.
 * Errors: `E_TF_MISSING`, `E_TF_COPIES`, `E_TF_BUILD`.
 */
export async function buildNode({ folder, tensorflow, rebuild, env, ...telling }: BuildOptions): Promise<string> {
  const before = await probe(folder, 'tfjs-node', telling.signal)
  if (before.loads && !rebuild && tensorflow === undefined) return `${before.about} loads`
  if (process.platform !== 'linux')
    throw new GangflowError({
      code: 'E_TF_BUILD',
      what: `tfjs-node is built on Linux alone, and this is ${process.platform}`,
      fix: 'npm install @tensorflow/tfjs-node, which fetches its library; without it the wasm backend serves',
    })
  const packages = findPackages(folder, 'cpu')
  const cache = join(cacheFolder(env), 'node')
  const pythons = [
    env['GANGFLOW_PYTHON'],
    env['VIRTUAL_ENV'] && join(env['VIRTUAL_ENV'], 'bin/python'),
    nearest(folder, '.venv/bin/python'),
    'python3',
    'python',
  ]
  const source = await fetchPackage(packages.version, cache, telling)
  const libraries = await findTensorFlow(tensorflow, pythons.filter((python) => !!python) as string[], cache, telling)
  const addon = await compileAddon(source, libraries, env['CXX'] || 'g++', cache, telling)
  const modules = nearest(folder, 'node_modules/@tensorflow/tfjs')
  const placed = await place(source, addon, modules ? dirname(dirname(modules)) : join(folder, 'node_modules'))
  // This process has seen that it was not there, and Node remembers that.
  const backend = join(placed, 'dist/index.js')
  const after = await probe(folder, 'tfjs-node', telling.signal, { ...packages, backend })
  if (after.loads) return `${after.about} loads, from ${placed}`
  throw new GangflowError({
    code: 'E_TF_BUILD',
    what: after.about,
    fix: `remove ${cache} and run this again; name another TensorFlow: --tensorflow FOLDER`,
  })
}

function nearest(folder: string, path: string): string | undefined {
  for (let at = folder; ; at = dirname(at)) {
    if (existsSync(join(at, path))) return join(at, path)
    if (dirname(at) === at) return undefined
  }
}
