import { spawnSync } from 'node:child_process'
import { renameSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { project } from '../../../packages/core/test/compile/project.js'
import { copyPackage, factsOf, flow, flowProject, repository } from './delivery.js'

/** (module (func (export "answer") (result i32) i32.const 42)) */
const fortyTwo = Buffer.from('0061736d010000000105016000017f03020100070a0106616e7377657200000a06010400412a0b', 'hex')

describe('a delivered flow, when the original is no more,', () => {
  it('finds its packages, its own files and its place', async () => {
    const made = flowProject({
      'steps/flow.ts': flow(
        `async () => ({
          one, two: two.deep, place: import.meta.url.endsWith('/steps/flow.ts'),
          same: fileURLToPath(import.meta.url) === process.cwd() + '/flow.ts',
          data: readFileSync(new URL('../data/words.txt', import.meta.url), 'utf8'),
          python: execFileSync('python3', ['../train.py'], { encoding: 'utf8' }).trim(),
          resolved: import.meta.resolve('one').endsWith('/node_modules/one/index.js'),
          later: (await import('la' + 'ter')).default, helper,
          thread: await new Promise((settle) => new Worker(new URL('./thread.mjs', import.meta.url)).once('message', settle)),
        })`,
        `import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { execFileSync } from 'node:child_process'
import { Worker } from 'node:worker_threads'
import one from 'one'
import two from 'two'
import { helper } from '../lib/helper.js'
import 'later'`,
      ),
      'package.json': '{ "name": "shop", "type": "module", "dependencies": { "threaded": "1" } }',
      'lib/helper.ts': `export const helper = 'from a helper'`,
      'steps/thread.mjs': `import { parentPort } from 'node:worker_threads'\nimport name from 'threaded'\nparentPort.postMessage(name)`,
      'data/words.txt': 'a few words',
      'train.py': `import pathlib\nprint(pathlib.Path(__file__).with_name('conf.ini').read_text())`,
      'conf.ini': 'lr=1',
      'node_modules/threaded/package.json': '{ "name": "threaded", "version": "1.0.0", "main": "index.js" }',
      'node_modules/threaded/index.js': `module.exports = 'from a thread'`,
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
      thread: 'from a thread',
    })
  })

  it('of a workspace, with top-level await, and a package with a .wasm and a worker file', async () => {
    const made = flowProject({
      'package.json': '{ "private": true, "workspaces": ["app", "lib", "tools"] }',
      'app/package.json': '{ "name": "app", "type": "module" }',
      'app/tsconfig.json': '{ "compilerOptions": { "paths": { "~/*": ["./src/*"] } } }',
      'app/src/greeting.ts': 'export const greeting: string = await Promise.resolve("hello")',
      'app/flow.ts': flow(
        '[greeting, name(), tool, ...(await compute()), ...(await parallelMap([1, 2], (n) => n * 2))]',
        `import { parallelMap } from '@gangflow/core/parallel'
import { name } from '@work/lib'
import { compute } from 'native'
import { greeting } from '~/greeting'
import { tool } from 'user'`,
      ),
      'lib/package.json':
        '{ "name": "@work/lib", "exports": "./src/lib.ts", "files": ["src", "words", "!src/*.test.ts"] }',
      'lib/src/lib.ts': `import { readFileSync } from 'node:fs'
export const name = (): string => readFileSync(new URL('../words/name.txt', import.meta.url), 'utf8')`,
      'lib/words/name.txt': 'workspace',
      '.gitignore': 'words/\n',
      'tools/package.json': '{ "name": "tools", "main": "index.cjs" }',
      'tools/index.cjs': `module.exports = 'a tool'`,
      'node_modules/user/package.json':
        '{ "name": "user", "type": "module", "exports": "./index.js", "peerDependencies": { "tools": "*" } }',
      'node_modules/user/index.js': `import tool from 'tools'\nexport { tool }`,
      'node_modules/native/package.json': '{ "name": "native", "type": "module", "exports": "./lib/index.js" }',
      'node_modules/native/lib/package.json': '{ "type": "module" }',
      'node_modules/native/lib/index.js': `import { readFileSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
export async function compute() {
  const { instance } = await WebAssembly.instantiate(readFileSync(new URL('../answer.wasm', import.meta.url)))
  const worker = new Worker(new URL('./worker.js', import.meta.url))
  return [instance.exports.answer(), await new Promise((settle) => worker.once('message', settle))]
}`,
      'node_modules/native/lib/worker.js':
        'import { parentPort } from "node:worker_threads"; parentPort.postMessage("thread")',
      'node_modules/native/answer.wasm': fortyTwo,
    })
    made.link('lib', 'node_modules/@work/lib')
    made.link('tools', 'node_modules/tools')
    expect(await factsOf(made, 'app/flow.ts')).toEqual(['hello', 'workspace', 'a tool', 42, 'thread', 2, 4])
  })

  it('as pnpm lays packages out', async () => {
    const at = (name: string) => `node_modules/.pnpm/${name}@1.0.0/node_modules`
    const made = flowProject({
      'flow.ts': flow(
        `[first, createRequire(import.meta.url)('fir' + 'st')]`,
        `import { createRequire } from 'node:module'\nimport first from 'first'`,
      ),
      [`${at('first')}/first/package.json`]: '{ "name": "first", "dependencies": { "@scope/second": "1" } }',
      [`${at('first')}/first/index.js`]: `module.exports = 'first of ' + require('@scope/second')`,
      [`${at('second')}/@scope/second/package.json`]:
        '{ "name": "@scope/second", "optionalDependencies": { "none": "1", "third": "1" } }',
      [`${at('second')}/@scope/second/index.js`]: `module.exports = 'second of ' + require('third')`,
      [`${at('third')}/third/package.json`]: '{ "name": "third" }',
      [`${at('third')}/third/index.js`]: `module.exports = 'third'`,
    })
    made.linkTo('.pnpm/first@1.0.0/node_modules/first', 'node_modules/first')
    made.linkTo('../../../second@1.0.0/node_modules/@scope/second', `${at('first')}/@scope/second`)
    made.linkTo('../../third@1.0.0/node_modules/third', `${at('second')}/third`)
    expect(await factsOf(made)).toEqual(Array(2).fill('first of second of third'))
  })

  it('in CommonJS, with native packages', async () => {
    const made = flowProject({
      'package.json': '{ "name": "shop", "type": "commonjs" }',
      'flow.ts': `import { basename } from 'path'
import helper = require('./helper')
import { encode } from 'cbor-x'
import { version, transformSync } from 'esbuild'
import { FlowSpec, step } from '@gangflow/core'
const extract = require('cbor-extract')
class Common extends FlowSpec {
  static facts = () => [basename(__filename), helper.word, require.resolve('./helper') === __dirname + '/helper.ts',
    encode('a').length, typeof extract.extractStrings, transformSync('let a: 1 = 1', { loader: 'ts' }).code.trim()]
  @step start() { this.next(this.end) }
  @step end() {}
}
export = Common`,
      'helper.ts': 'export = { word: "helped" }',
    })
    for (const name of [
      'cbor-x',
      'cbor-extract',
      'node-gyp-build-optional-packages',
      'detect-libc',
      'esbuild',
      '@esbuild/linux-x64',
    ])
      copyPackage(`node_modules/${name}`, made.path('node_modules', name))
    expect(await factsOf(made)).toEqual(['flow.ts', 'helped', true, 2, 'function', 'let a = 1;'])
  })

  it('whose core and packages are linked from elsewhere', async () => {
    const made = flowProject({
      'app/package.json': '{ "name": "app", "type": "module" }',
      'app/flow.ts': flow('one', `import one from 'one'`),
      'other/one/package.json': '{ "name": "one" }',
      'other/one/index.js': `module.exports = require('two')`,
      'other/one/node_modules/two/package.json': '{ "name": "two" }',
      'other/one/node_modules/two/index.js': `module.exports = 'two'`,
    })
    renameSync(made.path('node_modules'), made.path('shared'))
    made.link('shared', 'app/node_modules')
    made.link('other/one', 'shared/one')
    const manifest = '{ "name": "one", "dependencies": { "two": "*" } }'
    made.write({ 'other/one/package.json': manifest })
    expect(await factsOf(made, 'app/flow.ts')).toBe('two')
  })
})

describe('gangflow check --package', () => {
  const check = (made: { root: string }): { status: number | null; stdout: string } =>
    spawnSync(
      process.execPath,
      [`${repository}packages/core/dist/cli.cjs`, 'check', 'flow.ts', '--package', '--json'],
      {
        cwd: made.root,
        encoding: 'utf8',
      },
    )

  it('says what would travel, by the rules of the config file', () => {
    const made = project({
      'package.json': '{ "name": "shop", "type": "module" }',
      'flow.ts': flow('one', `import one from 'one'`),
      'node_modules/one/package.json': '{ "name": "one", "version": "1.0.0" }',
      'node_modules/one/index.js': `module.exports = 'one'`,
      'data/large.bin': Buffer.alloc(50_000),
      'gangflow.config.json': '{ "package": { "exclude": ["data/"], "limit": "1kB" } }',
    })
    made.linkTo(`${repository}packages/core`, 'node_modules/@gangflow/core')
    const { status, stdout } = check(made)
    const { package: summary } = JSON.parse(stdout)
    expect(summary.project.sort()).toEqual(['flow.ts', 'gangflow.config.json', 'package.json'])
    expect(summary.parts.map(({ name }: { name: string }) => name)).toEqual(['@gangflow/core', 'shop', 'one'])
    // More than the limit that is set.
    expect(status).toBe(2)
    made.write({ 'gangflow.config.json': '{ "package": { "exclude": "data/" } }' })
    expect(check(made)).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('package must be { include: [patterns]'),
    })
  })
})
