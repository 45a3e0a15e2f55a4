import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it, onTestFinished } from 'vitest'
import { compileFlow } from '../../../packages/core/src/compile/compile-flow.js'
import type { LocalFlow, PackageRef, PackFlowOptions } from '../../../packages/core/src/compile/package/contract.js'
import { installPackage } from '../../../packages/core/src/compile/package/install/install-package.js'
import { packFlow } from '../../../packages/core/src/compile/package/pack-flow.js'
import type { Datastore } from '../../../packages/core/src/datastore/contract.js'
import { openDatastore } from '../../../packages/core/src/datastore/open.js'
import { type Project, project } from '../../../packages/core/test/compile/project.js'

const repository = new URL('../../..', import.meta.url).pathname
const run = promisify(execFile)

/** A project with a core of its own, so that nothing in it leads out of it. */
function flowProject(files: Record<string, string | Uint8Array>): Project {
  const made = project({ 'package.json': '{ "name": "shop", "type": "module" }', ...files })
  installCore(made.path('node_modules/@gangflow/core'))
  return made
}

function installCore(folder: string): void {
  const from = join(repository, 'packages/core')
  mkdirSync(folder, { recursive: true })
  cpSync(join(from, 'package.json'), join(folder, 'package.json'))
  cpSync(join(from, 'dist'), join(folder, 'dist'), {
    recursive: true,
    filter: (path) => !/\.map$|\/types$/.test(path),
  })
  // Of the describing process, which is no part of what travels.
  cpSync(join(repository, 'node_modules/acorn'), join(folder, 'node_modules/acorn'), { recursive: true })
}

/** A flow whose module also exports `facts`, which the copy is asked for. */
const flow = (facts: string, head = '') => `import { FlowSpec, step } from '@gangflow/core'
${head}
export const facts = ${facts}
export default class Shop extends FlowSpec {
  @step start() { this.next(this.end) }
  @step end() {}
}
`

interface Delivery {
  readonly store: Datastore
  readonly ref: PackageRef
  readonly cache: string
}

async function pack(made: Project, file = 'flow.ts', options: PackFlowOptions = {}): Promise<Delivery> {
  const elsewhere = project({})
  const store = await openDatastore(elsewhere.path('store'))
  onTestFinished(() => store.close())
  const compiled = await compileFlow({ file: made.path(file) }, store)
  return { store, ref: await packFlow(compiled, store, options), cache: elsewhere.path('cache') }
}

const install = ({ store, ref, cache }: Delivery): Promise<LocalFlow> =>
  installPackage(store, ref, cache, new AbortController().signal)

/** What `facts` gives in a copy, run where the original is no more. */
async function factsOf(made: Project, file = 'flow.ts', execArgv: readonly string[] = []): Promise<unknown> {
  const delivery = await pack(made, file)
  renameSync(made.root, `${made.root} gone`)
  onTestFinished(() => rmSync(`${made.root} gone`, { recursive: true, force: true }))
  const local = await install(delivery)
  return ask(local, execArgv)
}

async function ask({ bundle, file }: LocalFlow, execArgv: readonly string[] = []): Promise<unknown> {
  const script = `const all = await import(process.argv[1]); const { facts } = all.facts ? all : all.default; console.log(JSON.stringify(typeof facts === 'function' ? await facts() : facts))`
  const { stdout } = await run(process.execPath, [...execArgv, '--input-type=module', '-e', script, bundle], {
    cwd: join(file, '..'),
  })
  return JSON.parse(stdout)
}

describe('a delivered flow', () => {
  it('finds its packages, its own files and its place', async () => {
    const made = flowProject({
      'steps/flow.ts': flow(
        `async () => ({
          one, two: two.deep, place: import.meta.url.endsWith('/steps/flow.ts'), same: fileURLToPath(import.meta.url) === process.cwd() + '/flow.ts',
          data: readFileSync(new URL('../data/words.txt', import.meta.url), 'utf8'),
          python: execFileSync('python3', ['../train.py'], { encoding: 'utf8' }).trim(),
          resolved: import.meta.resolve('one').endsWith('/node_modules/one/index.js'),
          later: (await import('la' + 'ter')).default, helper,
        })`,
        `import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { execFileSync } from 'node:child_process'
import one from 'one'
import two from 'two'
import { helper } from '../lib/helper.js'
import 'later'`,
      ),
      'lib/helper.ts': `export const helper = 'from a helper'`,
      'data/words.txt': 'a few words',
      'train.py': `import pathlib\nprint(pathlib.Path(__file__).with_name('conf.ini').read_text())`,
      'conf.ini': 'lr=1',
      'node_modules/one/package.json':
        '{ "name": "one", "version": "1.0.0", "type": "module", "exports": "./index.js" }',
      'node_modules/one/index.js': `export default 'one 1'`,
      'node_modules/later/package.json': '{ "name": "later", "version": "1.0.0", "main": "index.js" }',
      'node_modules/later/index.js': `module.exports = 'later'`,
      'node_modules/two/package.json': '{ "name": "two", "version": "2.0.0", "dependencies": { "one": "2" } }',
      'node_modules/two/index.js': `exports.deep = require('one')`,
      'node_modules/two/node_modules/one/package.json': '{ "name": "one", "version": "2.0.0" }',
      'node_modules/two/node_modules/one/index.js': `module.exports = 'one 2'`,
    })
    expect(await factsOf(made, 'steps/flow.ts')).toEqual({
      one: 'one 1',
      two: 'one 2',
      place: true,
      same: true,
      data: 'a few words',
      python: 'lr=1',
      resolved: true,
      later: 'later',
      helper: 'from a helper',
    })
  })
})
