import { execFile } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import { type Project, project } from '../../../packages/core/test/compile/project.js'

const repository = new URL('../../..', import.meta.url).pathname

function run(made: Project, cwd: string, file: string): Promise<{ code: number; output: string }> {
  made.linkTo(`${repository}packages/core`, 'node_modules/@gangflow/core')
  const args = [`${repository}packages/core/dist/cli.cjs`, 'run', file]
  return new Promise((settle) => {
    execFile(process.execPath, args, { cwd: made.path(cwd) }, (error, stdout, stderr) => {
      settle({ code: error === null ? 0 : Number(error.code ?? 1), output: stdout + stderr })
    })
  })
}

/** (module (func (export "answer") (result i32) i32.const 42)) */
const fortyTwo = Buffer.from('0061736d010000000105016000017f03020100070a0106616e7377657200000a06010400412a0b', 'hex')

describe('bodies run', () => {
  it('a flow of a workspace with an alias, top-level await, and a package with a .wasm and a worker file', async () => {
    const made = project({
      'package.json': '{ "private": true, "workspaces": ["app", "lib"] }',
      'app/package.json': '{ "name": "app", "type": "module" }',
      'app/tsconfig.json': '{ "compilerOptions": { "experimentalDecorators": true, "paths": { "~/*": ["./src/*"] } } }',
      'app/src/greeting.ts': 'export const greeting: string = await Promise.resolve("hello")',
      'app/src/asset.txt': 'an asset',
      'app/flow.ts': `import { readFileSync } from 'node:fs'
        import { FlowSpec, step } from '@gangflow/core'
        import { name } from '@work/lib'
        import { compute } from 'native'
        import { greeting } from '~/greeting'
        const place = await Promise.resolve(import.meta.dirname)
        export default class App extends FlowSpec {
          text!: string
          @step async start() {
            this.text = [greeting, name, ...(await compute())].join(' ')
            this.next(this.end)
          }
          @step async end() {
            const { late } = await import('./src/late.js')
            console.log(late(this.text), readFileSync(new URL('./src/asset.txt', import.meta.url), 'utf8'))
            console.log(place === process.cwd() && place === __dirname ? 'at home' : 'lost')
          }
        }`,
      'app/src/late.ts': 'export const late = (text: string): string => text.toUpperCase()',
      'lib/package.json': '{ "name": "@work/lib", "exports": "./lib.ts" }',
      'lib/lib.ts': 'export const name: string = "workspace"',
      'node_modules/native/package.json': '{ "name": "native", "type": "module", "exports": "./index.js" }',
      'node_modules/native/index.js': `import { readFileSync } from 'node:fs'
        import { Worker } from 'node:worker_threads'
        export async function compute() {
          const { instance } = await WebAssembly.instantiate(readFileSync(new URL('./answer.wasm', import.meta.url)))
          const worker = new Worker(new URL('./worker.js', import.meta.url))
          return [instance.exports.answer(), await new Promise((settle) => worker.once('message', settle))]
        }`,
      'node_modules/native/worker.js':
        'import { parentPort } from "node:worker_threads"; parentPort.postMessage("thread")',
      'node_modules/native/answer.wasm': fortyTwo,
    })
    made.link('lib', 'node_modules/@work/lib')
    const ran = await run(made, '.', 'app/flow.ts')
    expect(ran.output).toContain('HELLO WORKSPACE 42 THREAD an asset')
    expect(ran.output).toContain('at home')
    expect(ran.code).toBe(0)
  })

  it('a CommonJS flow, in a package of that type', async () => {
    const made = project({
      'package.json': '{ "type": "commonjs" }',
      'flow.ts': `import path from 'path'
        import helper = require('./helper')
        import { FlowSpec, step } from '@gangflow/core'
        class Common extends FlowSpec {
          @step start() { this.next(this.end) }
          @step end() { console.log(path.basename(__filename), helper.word, typeof require.resolve('./helper')) }
        }
        export = Common`,
      'helper.ts': 'export = { word: "helped" }',
    })
    const ran = await run(made, '.', 'flow.ts')
    expect(ran.output).toContain('flow.ts helped string')
    expect(ran.code).toBe(0)
  })

  it("and a step that throws is told with the person's own file and line", async () => {
    const made = project({
      'package.json': '{ "type": "module" }',
      'flow.ts': `import { FlowSpec, step } from '@gangflow/core'
import { deep } from './lib/deep.js'
export default class Throws extends FlowSpec {
  @step start() { deep(); this.next(this.end) }
  @step end() {}
}
`,
      'lib/deep.ts':
        'interface Unused { a: number }\n\nexport function deep(): void {\n  throw new RangeError("deliberate")\n}\n',
    })
    const ran = await run(made, '.', 'flow.ts')
    expect(ran.code).not.toBe(0)
    expect(ran.output).toContain('deliberate')
    expect(ran.output).toContain(`${made.path('lib/deep.ts')}:4`)
    expect(ran.output).not.toContain('flow.mjs')
  })
})
