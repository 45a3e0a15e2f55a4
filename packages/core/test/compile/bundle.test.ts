import { mkdirSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { describe, expect, it } from 'vitest'
import { bundleFlow } from '../../src/compile/bundle-flow.js'
import { evaluate, project } from './project.js'

/** (module (func (export "answer") (result i32) i32.const 42)) */
const fortyTwo = Buffer.from('0061736d010000000105016000017f03020100070a0106616e7377657200000a06010400412a0b', 'hex')

const esm = '{ "type": "module" }'

describe('what is inlined', () => {
  it('relative imports, tsconfig aliases and workspace packages; packages stay outside', async () => {
    const made = project({
      'package.json': esm,
      'tsconfig.json': '{ "compilerOptions": { "paths": { "~/*": ["./lib/*"] } } }',
      'app/flow.ts': `import { near } from './near.js'
        import { aliased } from '~/aliased'
        import { shared } from '@work/shared'
        import outside from 'outside'
        export default [near, aliased, shared, outside]`,
      'app/near.ts': 'export const near: string = "near"',
      'lib/aliased.ts': 'export const aliased: string = "aliased"',
      'shared/package.json': '{ "name": "@work/shared", "type": "module", "exports": "./src/index.ts" }',
      'shared/src/index.ts': 'import deep from "deep"; export const shared: string = "shared with " + deep',
      'shared/node_modules/deep/package.json': '{ "name": "deep", "main": "deep.js" }',
      'shared/node_modules/deep/deep.js': 'module.exports = "its own deep"',
      'node_modules/deep/package.json': '{ "name": "deep", "main": "deep.js" }',
      'node_modules/deep/deep.js': 'module.exports = "the wrong deep"',
      'node_modules/outside/package.json': '{ "name": "outside" }',
      'node_modules/outside/index.js': 'module.exports = "outside"',
    })
    made.link('shared', 'node_modules/@work/shared')
    expect(await evaluate(made, 'app/flow.ts')).toEqual(['near', 'aliased', 'shared with its own deep', 'outside'])
    const { pins } = await bundleFlow(made.path('app/flow.ts'), [])
    expect(pins.map((pin) => pin.path).sort()).toEqual([
      made.path('node_modules/outside/index.js'),
      made.path('shared/node_modules/deep/deep.js'),
    ])
  })

  it('a project that itself lies in node_modules', async () => {
    const made = project({
      'node_modules/app/package.json': esm,
      'node_modules/app/flow.ts': 'import { near } from "./near"; import far from "far"; export default near + far',
      'node_modules/app/near.ts': 'export const near: string = "near "',
      'node_modules/far/index.js': 'module.exports = "far"',
    })
    expect(await evaluate(made, 'node_modules/app/flow.ts')).toBe('near far')
  })

  it('JSON, also of a package and without an attribute', async () => {
    const made = project({
      'package.json': esm,
      'flow.ts': `import own from './own.json'
        import other from 'pkg/data.json' with { type: 'json' }
        export default [own.a, other.b]`,
      'own.json': '{ "a": 1 }',
      'node_modules/pkg/data.json': '{ "b": 2 }',
    })
    expect(await evaluate(made, 'flow.ts')).toEqual([1, 2])
  })

  it('a dynamic import of a literal, of a template and of a computed name', async () => {
    const made = project({
      'package.json': esm,
      'sub/flow.ts': `const load = async (name: string) => (await import(name)).default
        export default async () => {
          const which = 'one'
          return [(await import('./one.js')).default, (await import(\`./many/\${which}.ts\`)).default, await load('pkg'), await load('./plain.mjs')]
        }`,
      'sub/one.ts': 'export default "one" as string',
      'sub/many/one.ts': 'export default "one of many" as string',
      'sub/plain.mjs': 'export default "plain"',
      'node_modules/pkg/index.js': 'module.exports = "pkg"',
    })
    expect(await evaluate(made, 'sub/flow.ts')).toEqual(['one', 'one of many', 'pkg', 'plain'])
  })

  it('a file for its side effects, whatever its package.json says of them', async () => {
    const made = project({
      'package.json': '{ "type": "module", "sideEffects": false }',
      'flow.ts': 'import "./effect.js"; export default (globalThis as any).effect',
      'effect.ts': '(globalThis as any).effect = "seen"',
    })
    expect(await evaluate(made, 'flow.ts')).toBe('seen')
  })
})

describe('pins', () => {
  const dual = {
    'node_modules/dual/package.json': JSON.stringify({
      name: 'dual',
      exports: { module: './module.js', import: './import.mjs', require: './require.cjs' },
    }),
    'node_modules/dual/module.js': 'throw new Error("Node knows no condition of this name")',
    'node_modules/dual/import.mjs': 'export default "by import"; export const how = "by import"',
    'node_modules/dual/require.cjs': 'module.exports = { default: "by require", how: "by require", __esModule: true }',
  }

  it('by the condition of the importer', async () => {
    const made = project({
      ...dual,
      'package.json': esm,
      'flow.ts': `import { how } from 'dual'
        import { createRequire } from 'node:module'
        import other from './other.cjs'
        export default [how, createRequire(import.meta.url)('dual').how, other]`,
      'other.cjs': 'module.exports = require("dual").how',
    })
    expect(await evaluate(made, 'flow.ts')).toEqual(['by import', 'by require', 'by require'])
  })

  it('in a CommonJS package an import is a require, with what TypeScript makes of its default', async () => {
    const made = project({
      ...dual,
      'package.json': '{ "type": "commonjs" }',
      'flow.ts': `import dual, { how } from 'dual'
        import { hidden } from 'cjs'
        import * as only from 'only-import'
        export default [dual, how, hidden, only.how]`,
      'node_modules/cjs/index.js': 'const out = {}; out["hid" + "den"] = "hidden"; module.exports = out',
      'node_modules/only-import/package.json': '{ "exports": { "import": "./only.mjs" } }',
      'node_modules/only-import/only.mjs': 'export const how = "imported after all"',
    })
    expect(await evaluate(made, 'flow.ts')).toEqual(['by require', 'by require', 'hidden', 'imported after all'])
  })

  it("by the person's own conditions", async () => {
    const made = project({
      'package.json': esm,
      'flow.ts': 'export { default } from "pkg"',
      'node_modules/pkg/package.json': '{ "exports": { "special": "./special.js", "default": "./usual.js" } }',
      'node_modules/pkg/special.js': 'module.exports = "special"',
      'node_modules/pkg/usual.js': 'module.exports = "usual"',
    })
    expect(await evaluate(made, 'flow.ts', ['--conditions=special'])).toBe('special')
    expect(await evaluate(made, 'flow.ts')).toBe('usual')
  })

  it('to names that a URL would break', async () => {
    const made = project({
      'package.json': esm,
      'a#b %20?/flow.ts': 'import pkg from "pkg"; export default pkg + import.meta.filename',
      'a#b %20?/node_modules/pkg/index.js': 'module.exports = "pkg of "',
    })
    expect(await evaluate(made, 'a#b %20?/flow.ts')).toBe(`pkg of ${made.path('a#b %20?/flow.ts')}`)
  })

  it('an optional package that is absent stays a failed require', async () => {
    const made = project({
      'package.json': '{}',
      'flow.cjs': 'let found = true; try { require("absent") } catch { found = false }; module.exports = [found]',
    })
    expect(await evaluate(made, 'flow.cjs')).toEqual([false])
  })
})

describe("a file's own place", () => {
  it('is what import.meta, __dirname, __filename and new URL mean', async () => {
    const made = project({
      'package.json': esm,
      'flow.ts': `import { place } from './deep/place.js'
        export default [place, [import.meta.url, import.meta.dirname, import.meta.filename, __dirname, __filename]]`,
      'deep/place.ts': `import { readFileSync } from 'node:fs'
        export const place = [import.meta.url, __dirname, readFileSync(new URL('./asset.txt', import.meta.url), 'utf8'), import.meta.resolve('./asset.txt'), import.meta.resolve('pkg')]`,
      'deep/asset.txt': 'an asset',
      'node_modules/pkg/package.json': '{ "exports": { "import": "./pkg.mjs" } }',
      'node_modules/pkg/pkg.mjs': '',
    })
    const url = (name: string) => pathToFileURL(made.path(name)).href
    expect(await evaluate(made, 'flow.ts')).toEqual([
      [url('deep/place.ts'), made.path('deep'), 'an asset', url('deep/asset.txt'), url('node_modules/pkg/pkg.mjs')],
      [url('flow.ts'), made.root, made.path('flow.ts'), made.root, made.path('flow.ts')],
    ])
  })

  it('leaves names that the file declares itself, and holds inside an import cycle', async () => {
    const made = project({
      'package.json': esm,
      'flow.ts': `import { early } from './other.js'
        const __dirname = 'mine'
        const require = (name: string) => 'mine ' + name
        export function here() { return import.meta.filename }
        export default [early, __dirname, require('x')]`,
      'other.ts': `import { here } from './flow.js'
        export const early = here()`,
    })
    expect(await evaluate(made, 'flow.ts')).toEqual([made.path('flow.ts'), 'mine', 'mine x'])
  })

  it('holds in a CommonJS flow, which has a require', async () => {
    const made = project({
      'package.json': '{}',
      'flow.cts': `import fs = require('fs')
        const own = require('./own.cjs')
        const name = './own' + '.cjs'
        export = [__filename, own.place, require(name).place, typeof fs.readFileSync, require.resolve('./bare'), own.found, typeof require('node:path').join]`,
      'own.cjs': `exports.place = [__dirname, module.exports === exports]
        const name = './there' + '.txt'
        exports.found = [require.resolve('./sub/there.txt'), require.resolve('./sub' + name.slice(1)), require.resolve('fs'), require.resolve('pkg')]`,
      'node_modules/pkg/index.js': '',
      'sub/there.txt': '',
      'bare.ts': '',
    })
    expect(await evaluate(made, 'flow.cts')).toEqual([
      made.path('flow.cts'),
      [made.root, true],
      [made.root, true],
      'function',
      made.path('bare.ts'),
      [made.path('sub/there.txt'), made.path('sub/there.txt'), 'fs', made.path('node_modules/pkg/index.js')],
      'function',
    ])
  })

  it.each([
    ['a workspace package', 'native'],
    ['an installed package', 'node_modules/@work/native'],
  ])('of %s with a .wasm and a worker file', async (_, folder) => {
    const made = project({
      'package.json': esm,
      'app/flow.ts': 'import { answer } from "@work/native"; export default answer',
      [`${folder}/package.json`]: '{ "name": "@work/native", "type": "module", "exports": "./index.js" }',
      [`${folder}/index.js`]: `import { readFileSync } from 'node:fs'
        import { Worker } from 'node:worker_threads'
        export async function answer() {
          const { instance } = await WebAssembly.instantiate(readFileSync(new URL('./answer.wasm', import.meta.url)))
          const worker = new Worker(new URL('./worker.js', import.meta.url))
          const said = await new Promise((settle) => worker.once('message', settle))
          return [instance.exports.answer(), said]
        }`,
      [`${folder}/worker.js`]:
        'import { parentPort } from "node:worker_threads"; parentPort.postMessage("from the worker")',
      [`${folder}/answer.wasm`]: fortyTwo,
    })
    if (folder === 'native') made.link('native', 'node_modules/@work/native')
    expect(await evaluate(made, 'app/flow.ts')).toEqual([42, 'from the worker'])
  })
})

describe('the language', () => {
  it('top-level await', async () => {
    const made = project({
      'package.json': esm,
      'flow.ts': 'import { late } from "./late.js"; export default late + (await Promise.resolve(" twice"))',
      'late.ts': 'export const late: string = await new Promise((settle) => setTimeout(settle, 5, "late"))',
    })
    expect(await evaluate(made, 'flow.ts')).toBe('late twice')
  })

  it("each file's own tsconfig decides its decorators", async () => {
    const seen =
      'export const seen = (_: unknown, second: unknown) => { kinds.push(typeof second) }; export const kinds: string[] = []'
    const made = project({
      'package.json': esm,
      'flow.ts': `import { kinds, seen } from './seen.js'
        import './legacy/file.js'
        class Standard { @seen method() {} }
        export default [...kinds, Standard.name]`,
      'seen.ts': seen,
      'legacy/tsconfig.json': '{ "compilerOptions": { "experimentalDecorators": true } }',
      'legacy/file.ts': 'import { seen } from "../seen.js"; class Legacy { @seen method() {} }; export { Legacy }',
    })
    expect(await evaluate(made, 'flow.ts')).toEqual(['string', 'object', 'Standard'])
  })

  it('keeps the names of classes that it renames', async () => {
    const made = project({
      'package.json': esm,
      'flow.ts': 'import { Train as Other } from "./other.js"; class Train {}; export default [Train.name, Other.name]',
      'other.ts': 'export class Train {}',
    })
    expect(await evaluate(made, 'flow.ts')).toEqual(['Train', 'Train'])
  })
})

describe('what does not compile', () => {
  const failure = async (files: Record<string, string>, entry = 'flow.ts') => {
    const made = project({ 'package.json': esm, ...files })
    mkdirSync(made.path('empty'))
    const error = await bundleFlow(made.path(entry), []).catch((thrown) => thrown)
    return { error, made }
  }

  it('names file, line and what esbuild says', async () => {
    const { error, made } = await failure({ 'flow.ts': 'import "./bad.js"', 'bad.ts': 'const a = 1\nlet b = = 2\n' })
    expect(error).toMatchObject({ code: 'E_COMPILE', location: { file: made.path('bad.ts'), line: 2, column: 9 } })
    expect(error.what).toContain(`${made.path('bad.ts')}:2:9: Unexpected "="`)
    expect(error.what).toContain('let b = = 2')
  })

  it('names the package that is not installed and the command that installs it', async () => {
    const { error, made } = await failure({ 'flow.ts': '\nimport x from "@far/away/sub"; export default x' })
    expect(error).toMatchObject({ code: 'E_IMPORT', location: { file: made.path('flow.ts'), line: 2 } })
    expect(error.fix).toContain('npm install @far/away ')
  })

  it('names a relative path that leads nowhere', async () => {
    const { error } = await failure({ 'flow.ts': 'import "./nowhere.js"' })
    expect(error).toMatchObject({ code: 'E_IMPORT', fix: 'check the path: no such file' })
  })

  it('names a package that offers TypeScript', async () => {
    const { error } = await failure({
      'flow.ts': 'import "raw"',
      'node_modules/raw/package.json': '{ "main": "raw.ts" }',
      'node_modules/raw/raw.ts': 'export const a: number = 1',
    })
    expect(error).toMatchObject({ code: 'E_PACKAGE_TYPESCRIPT' })
  })

  it('says how to read a file that is no code', async () => {
    const { error } = await failure({
      'flow.ts': 'import text from "./train.py"; export default text',
      'train.py': '1',
    })
    expect(error).toMatchObject({ code: 'E_COMPILE' })
    expect(error.fix).toContain('import.meta.url')
  })

  it('ends at once when it is cancelled', async () => {
    const made = project({ 'package.json': esm, 'flow.ts': 'export default 1' })
    const reason = new Error('cancelled')
    await expect(bundleFlow(made.path('flow.ts'), [], AbortSignal.abort(reason))).rejects.toBe(reason)
  })
})
