import { createHash, randomBytes } from 'node:crypto'
import { readdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { arch, hostname } from 'node:os'
import { join } from 'node:path'
import type { FlowDescription } from '../flow/description.js'
import type { Described } from './describe-process.js'
import type { Core } from './find-core.js'
import { nearestPackage, type Package } from './packages.js'
import type { Pin } from './pin-imports.js'

interface Kept {
  readonly key: string
  /** Environment variables that were read while the flow was loaded, by the hash of their value. */
  readonly env: Readonly<Record<string, string>>
  readonly description: FlowDescription
}

const name = 'description.json'

/**
 * What a kept description is valid for: the bundle, core's build, the packages that it imports (package.json and
 * imported file), Node, its flags, this host. Installing anything changes a package.json or npm's own record.
 */
export async function descriptionKey(
  bundleHash: string,
  core: Core,
  pins: readonly Pin[],
  execArgv: readonly string[],
): Promise<string> {
  const hash = createHash('sha256')
  const say = (...facts: readonly unknown[]) => hash.update(`${JSON.stringify(facts)}\n`)
  say(bundleHash, process.version, process.platform, arch(), hostname(), execArgv, process.env['NODE_OPTIONS'] ?? '')
  const manifests = new Map<string, Package | undefined>()
  for (const path of [...new Set(pins.map((pin) => pin.path))].sort()) {
    say(path, await stampOf(path), nearestPackage(path, manifests)?.text)
  }
  for (const modules of new Set(pins.flatMap((pin) => modulesAbove(pin.path)))) {
    say(await stampOf(join(modules, '.package-lock.json')), await stampOf(join(modules, '.modules.yaml')))
  }
  const dist = join(core.folder, 'dist')
  for (const file of (await readdir(dist)).filter((one) => one.endsWith('.js')).sort()) {
    say(file, await stampOf(join(dist, file)))
  }
  return hash.digest('hex')
}

export async function readDescription(folder: string, key: string): Promise<FlowDescription | undefined> {
  const kept = await readFile(join(folder, name), 'utf8').then(
    (text) => JSON.parse(text) as Kept,
    () => undefined,
  )
  if (kept?.key !== key) return undefined
  const valid = Object.entries(kept.env).every(([variable, hash]) => hashOfVariable(variable) === hash)
  return valid ? kept.description : undefined
}

/** Keeps what follows from the key and the environment alone; a flow that looked at anything else is not kept. */
export async function keepDescription(
  folder: string,
  key: string,
  { description, trace }: Described,
): Promise<boolean> {
  if (trace.impure.length > 0) return false
  const env = Object.fromEntries(Object.keys(trace.env).map((variable) => [variable, hashOfVariable(variable)]))
  const kept: Kept = { key, env, description }
  const temporary = join(folder, `${name}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`)
  await writeFile(temporary, JSON.stringify(kept))
  await rename(temporary, join(folder, name))
  return true
}

/** By hash: an environment holds secrets. `*` stands for how many there are, where all were read. */
function hashOfVariable(variable: string): string {
  const value = variable === '*' ? String(Object.keys(process.env).length) : process.env[variable]
  return createHash('sha256')
    .update(JSON.stringify([variable, value ?? null]))
    .digest('hex')
    .slice(0, 32)
}

async function stampOf(path: string): Promise<string> {
  const found = await stat(path).catch(() => undefined)
  return found === undefined ? 'none' : `${found.size} ${found.mtimeMs}`
}

/** Every node_modules folder on the way to a file. */
function modulesAbove(path: string): string[] {
  return [...path.matchAll(/\/node_modules\//g)].map(({ index }) => path.slice(0, index + '/node_modules'.length))
}
