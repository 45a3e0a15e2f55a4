import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { onTestFinished } from 'vitest'
import { compileFlow } from '../../../packages/core/src/compile/compile-flow.js'
import type { LocalFlow, PackageRef, PackFlowOptions } from '../../../packages/core/src/compile/package/contract.js'
import { installPackage } from '../../../packages/core/src/compile/package/install/install-package.js'
import { packFlow } from '../../../packages/core/src/compile/package/pack-flow.js'
import type { Datastore } from '../../../packages/core/src/datastore/contract.js'
import { openDatastore } from '../../../packages/core/src/datastore/open.js'
import { type Project, project } from '../../../packages/core/test/compile/project.js'

export const repository = new URL('../../..', import.meta.url).pathname

/** A project with a core of its own, so that nothing in it leads out of it. */
export function flowProject(files: Record<string, string | Uint8Array>): Project {
  const made = project({ 'package.json': '{ "name": "shop", "type": "module" }', ...files })
  const core = made.path('node_modules/@gangflow/core')
  copyPackage('packages/core', core, (path) => !/\.map$|\/types$|\/(?:src|test|test-d|node_modules)$/.test(path))
  // Of the describing process, which is no part of what travels.
  copyPackage('node_modules/acorn', join(core, 'node_modules/acorn'))
  return made
}

/** Copies a package of this repository. */
export function copyPackage(from: string, to: string, filter: (path: string) => boolean = () => true): void {
  mkdirSync(dirname(to), { recursive: true })
  cpSync(join(repository, from), to, { recursive: true, dereference: true, filter })
}

/** A flow whose module also exports `facts`, which the copy is asked for. */
export const flow = (facts: string, head = '') => `import { FlowSpec, step } from '@gangflow/core'
${head}
export const facts = ${facts}
export default class Shop extends FlowSpec {
  @step start() { this.next(this.end) }
  @step end() {}
}
`

export interface Delivery {
  readonly store: Datastore
  readonly ref: PackageRef
  /** A directory of a host. */
  readonly cache: string
  /** Packs the project as it is now, into the same datastore. */
  again(options?: PackFlowOptions): Promise<PackageRef>
}

export async function pack(made: Project, file = 'flow.ts', options: PackFlowOptions = {}): Promise<Delivery> {
  const elsewhere = project({})
  const store = await openDatastore(elsewhere.path('store'))
  onTestFinished(() => store.close())
  const again = async (more: PackFlowOptions = {}) =>
    packFlow(await compileFlow({ file: made.path(file) }, store), store, more)
  return { store, ref: await again(options), cache: elsewhere.path('cache'), again }
}

export const install = ({ store, ref, cache }: Omit<Delivery, 'again'>): Promise<LocalFlow> =>
  installPackage(store, ref, cache, new AbortController().signal)

/** What `facts` gives in a copy, run when the original is no more. */
export async function factsOf(made: Project, file = 'flow.ts'): Promise<unknown> {
  const delivery = await pack(made, file)
  renameSync(made.root, `${made.root} gone`)
  onTestFinished(() => rmSync(`${made.root} gone`, { recursive: true, force: true }))
  return ask(await install(delivery))
}

export async function ask({ bundle, file }: LocalFlow): Promise<unknown> {
  const script = `import(process.argv[1]).then(async (all) => {
    const { facts } = all.facts ? all : all.default
    console.log(JSON.stringify(typeof facts === 'function' ? await facts() : facts))
  })`
  const { stdout } = await promisify(execFile)(process.execPath, ['-e', script, bundle], { cwd: dirname(file) })
  return JSON.parse(stdout)
}
