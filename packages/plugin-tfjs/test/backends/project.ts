import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { onTestFinished } from 'vitest'

const require = createRequire(import.meta.url)
/** Where the packages of TensorFlow.js lie for this repository. */
export const installed = (name: string): string => dirname(require.resolve(`@tensorflow/${name}/package.json`))
/** The repository's own folder: a project that has every backend. */
export const repository = new URL('../../../..', import.meta.url).pathname

/** A folder that is gone after the test. */
export function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'gangflow-tfjs-'))
  onTestFinished(() => rmSync(made, { recursive: true, force: true }))
  return made
}

/** A project whose packages are those of the repository, by links, except those that `own` makes in its place. */
export function project(own: Record<string, (at: string) => void> = {}): string {
  const root = folder()
  const scope = join(root, 'node_modules/@tensorflow')
  mkdirSync(scope, { recursive: true })
  for (const name of ['tfjs', 'tfjs-core', 'tfjs-backend-wasm', 'tfjs-node', ...Object.keys(own)]) {
    const at = join(scope, name)
    if (existsSync(at)) continue
    if (own[name]) own[name](at)
    else symlinkSync(installed(name), at)
  }
  return root
}

/** A package of one file. */
export const packageOf = (name: string, version: string, code: string) => (at: string) => {
  mkdirSync(at, { recursive: true })
  writeFileSync(join(at, 'package.json'), JSON.stringify({ name: `@tensorflow/${name}`, version, main: 'index.js' }))
  writeFileSync(join(at, 'index.js'), code)
}

/** The repository's copy without some files, as a broken installation has it; it finds the repository's packages. */
export const without = (name: string, missing: RegExp) => (at: string) => {
  cpSync(installed(name), at, { recursive: true, filter: (file) => !missing.test(file) && !file.endsWith('.map') })
  const scope = join(at, 'node_modules/@tensorflow')
  mkdirSync(scope, { recursive: true })
  for (const needed of ['tfjs-core', 'tfjs-backend-cpu']) symlinkSync(installed(needed), join(scope, needed))
}
