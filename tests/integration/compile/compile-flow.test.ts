import { execFile } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { compileFlow } from '../../../packages/core/src/compile/compile-flow.js'
import type { CompiledFlow, CompileRequest } from '../../../packages/core/src/compile/contract.js'
import { openDatastore } from '../../../packages/core/src/datastore/open.js'
import { type Project, project } from '../../../packages/core/test/compile/project.js'

const repository = new URL('../../..', import.meta.url).pathname
const esm = '{ "type": "module" }'

/** A project that has the built core of this repository installed by a link. */
function flowProject(files: Record<string, string>): Project {
  const made = project({ 'package.json': esm, ...files })
  made.linkTo(`${repository}packages/core`, 'node_modules/@gangflow/core')
  return made
}

async function compile(made: Project, file = 'flow.ts', more: Partial<CompileRequest> = {}): Promise<CompiledFlow> {
  const datastore = await openDatastore(made.path('.gangflow'))
  try {
    return await compileFlow({ file: made.path(file), ...more }, datastore)
  } finally {
    await datastore.close()
  }
}

const failure = (made: Project, file?: string, more?: Partial<CompileRequest>) =>
  compile(made, file, more).then(
    () => expect.fail('it compiled'),
    (error) => error,
  )

const small = (before = '', body = '') => `import { FlowSpec, step } from '@gangflow/core'
${before}
export default class Small extends FlowSpec {
  @step start() { this.next(this.end) }
  @step end() { ${body} }
}
`

describe('a flow compiles', () => {
  it('to a stored bundle and a description with its own lines', async () => {
    const made = flowProject({ 'flow.ts': small() })
    const compiled = await compile(made)
    expect(compiled).toMatchObject({
      file: made.path('flow.ts'),
      core: `${repository}packages/core`,
      description: { name: 'Small', file: made.path('flow.ts'), complaints: [] },
    })
    expect(compiled.description.steps.map(({ name, location }) => [name, location.file, location.line])).toEqual([
      ['start', made.path('flow.ts'), 4],
      ['end', made.path('flow.ts'), 5],
    ])
    const datastore = await openDatastore(made.path('.gangflow'))
    expect(Buffer.from(await datastore.getBlob(compiled.ref.code.hash))).toEqual(readFileSync(compiled.bundle))
    expect(Buffer.from(await datastore.getBlob(compiled.ref.map.hash))).toEqual(readFileSync(`${compiled.bundle}.map`))
  })

  it.each([
    ['standard decorators', esm, '{}'],
    ['legacy decorators', esm, '{ "compilerOptions": { "experimentalDecorators": true } }'],
    [
      'legacy decorators, fields assigned',
      '{}',
      '{ "compilerOptions": { "experimentalDecorators": true, "useDefineForClassFields": false } }',
    ],
    ['a package of type commonjs', '{ "type": "commonjs" }', '{}'],
  ])('with %s', async (_, manifest, tsconfig) => {
    const made = flowProject({ 'package.json': manifest, 'tsconfig.json': tsconfig, 'flow.ts': small() })
    expect((await compile(made)).description).toMatchObject({ name: 'Small', complaints: [] })
  })

  it('with what a workspace, an alias and top-level await give it', async () => {
    const made = flowProject({
      'tsconfig.json': '{ "compilerOptions": { "paths": { "~/*": ["./lib/*"] } } }',
      'flow.ts': small(`import { times } from '~/times.js'
        import { retry } from '@gangflow/core'
        import { Base } from '@work/base'
        const later = await Promise.resolve(times)
        export class Other {}`)
        .replace('extends FlowSpec', 'extends Base')
        .replace('@step start', '@retry({ times: later }) @step start'),
      'lib/times.ts': 'export const times: number = 3',
      'base/package.json': '{ "name": "@work/base", "type": "module", "exports": "./base.ts" }',
      'base/base.ts': "import { FlowSpec } from '@gangflow/core'; export class Base extends FlowSpec {}",
    })
    made.link('base', 'node_modules/@work/base')
    const { description } = await compile(made)
    expect(description.complaints).toEqual([])
    expect(description.steps[0]).toMatchObject({ name: 'start', retry: { times: 3 } })
  })

  it('written in CommonJS, in TypeScript and in plain JavaScript', async () => {
    const made = flowProject({
      'flow.cts': small('', 'require("node:fs")')
        .replace(
          "import { FlowSpec, step } from '@gangflow/core'",
          "import core = require('@gangflow/core')\nconst { FlowSpec, step } = core",
        )
        .replace('export default class', 'export = class'),
      'flow.cjs': `const { FlowSpec, step, decorate } = require('@gangflow/core')
        class Plain extends FlowSpec {
          start() { this.next(this.end) }
          end() {}
        }
        decorate(Plain, { start: [step], end: [step] })
        module.exports = { Plain }`,
    })
    expect((await compile(made, 'flow.cts')).description).toMatchObject({ name: 'Small', complaints: [] })
    expect((await compile(made, 'flow.cjs')).description).toMatchObject({ name: 'Plain', complaints: [] })
  })

  it('with what is wrong in its graph as complaints', async () => {
    const made = flowProject({ 'flow.ts': small().replace('this.next(this.end)', '') })
    const { description } = await compile(made)
    expect(description.complaints).toMatchObject([{ step: 'start', location: { file: made.path('flow.ts'), line: 4 } }])
  })
})

describe('a named error', () => {
  it('for what the file throws while it loads, at its own line', async () => {
    const made = flowProject({
      'flow.ts': small("import './deep/bad.js'"),
      'deep/bad.ts': '// first\nconst a: string[] = []\na[0]!.length\n',
    })
    const error = await failure(made)
    expect(error).toMatchObject({ code: 'E_FLOW_LOAD', location: { file: made.path('deep/bad.ts'), line: 3 } })
    expect(error.what).toContain('TypeError: Cannot read properties of undefined')
  })

  it.each([
    ['exits', 'process.exit(7)', 'E_FLOW_LOAD', 'exited with code 7'],
    [
      'crashes',
      'console.error("the last words"); process.kill(process.pid, "SIGKILL")',
      'E_FLOW_LOAD',
      'ended by SIGKILL',
    ],
    ['awaits what never settles', 'await new Promise(() => {})', 'E_FLOW_LOAD', 'never settles'],
    ['throws what is no error', 'throw "a word"', 'E_FLOW_LOAD', 'a word'],
    [
      'throws later',
      'queueMicrotask(() => { throw new RangeError("later") }); await new Promise((f) => setTimeout(f, 1000))',
      'E_FLOW_LOAD',
      'RangeError: later',
    ],
  ])('for a file that %s', async (_, code, expected, what) => {
    const error = await failure(flowProject({ 'flow.ts': small(code) }))
    expect(error.code).toBe(expected)
    expect(error.what).toContain(what)
  })

  it('for a file that never ends loading, with what it printed, and at once when cancelled', async () => {
    const made = flowProject({
      'flow.ts': small('console.log("waiting for the moon"); await new Promise((f) => setTimeout(f, 1e6))'),
    })
    const error = await failure(made, 'flow.ts', { describeTimeout: '2s' })
    expect(error.code).toBe('E_FLOW_LOAD_TIMEOUT')
    expect(error.what).toContain('waiting for the moon')
    const reason = new Error('cancelled')
    const cancelled = new AbortController()
    setTimeout(() => cancelled.abort(reason), 300)
    expect(await failure(made, 'flow.ts', { signal: cancelled.signal })).toBe(reason)
  })

  it('for a file that exports no flow, several, or is not there', async () => {
    const made = flowProject({
      'none.ts': 'export const a = 1',
      'several.ts': `${small().replace('export default', 'export')}export class Other extends FlowSpec {}`,
    })
    expect(await failure(made, 'none.ts')).toMatchObject({ code: 'E_NO_FLOW' })
    expect(await failure(made, 'several.ts')).toMatchObject({ code: 'E_SEVERAL_FLOWS' })
    expect(await failure(made, 'absent.ts')).toMatchObject({ code: 'E_FLOW_FILE' })
  })

  it('for a flow without core, and for one with two', async () => {
    const without = project({ 'package.json': esm, 'flow.ts': small() })
    expect(await failure(without)).toMatchObject({ code: 'E_CORE_MISSING' })
    const two = flowProject({
      'flow.ts': small("import 'a-plugin'"),
      'node_modules/a-plugin/package.json':
        '{ "name": "a-plugin", "main": "index.js", "peerDependencies": { "@gangflow/core": "*" } }',
      'node_modules/a-plugin/index.js': '',
      'node_modules/a-plugin/node_modules/@gangflow/core/package.json':
        '{ "name": "@gangflow/core", "version": "0.0.1" }',
    })
    expect(await failure(two)).toMatchObject({ code: 'E_TWO_CORES' })
  })

  it('whatever the module printed, and however much', async () => {
    const made = flowProject({
      'flow.ts': small(
        'for (let n = 0; n < 2000; n++) { console.log("x".repeat(1000)); console.error("y".repeat(1000)) }',
      ),
    })
    expect((await compile(made)).description.name).toBe('Small')
  })

  it('does not wait for what the module left running', async () => {
    const made = flowProject({ 'flow.ts': small('setInterval(() => {}, 1000)') })
    expect((await compile(made)).description.name).toBe('Small')
  })
})

describe('a description is kept', () => {
  /** How often the flow's module was loaded. */
  const counted = (before = '') =>
    flowProject({
      'flow.ts': small(before),
      'count.cjs': 'require("node:fs").appendFileSync(__dirname + "/count", "x")',
    })
  const load = (made: Project, more?: Partial<CompileRequest>) =>
    compile(made, 'flow.ts', { execArgv: ['--require', made.path('count.cjs')], ...more })
  const loads = (made: Project) => readFileSync(made.path('count'), 'utf8').length

  it('for the same code, and not for other code', async () => {
    const made = counted()
    const first = await load(made)
    const second = await load(made)
    expect(second).toEqual(first)
    expect(loads(made)).toBe(1)
    writeFileSync(made.path('flow.ts'), small('', 'console.log(1)'))
    const third = await load(made)
    expect(third.ref.hash).not.toBe(first.ref.hash)
    expect(loads(made)).toBe(2)
  })

  it('for the same environment, as far as the module read it', async () => {
    const made = counted(
      'const often = Number(process.env.GANGFLOW_TEST_OFTEN ?? 1); import { retry } from "@gangflow/core"',
    )
    writeFileSync(
      made.path('flow.ts'),
      readFileSync(made.path('flow.ts'), 'utf8').replace('@step start', '@retry({ times: often }) @step start'),
    )
    const times = async () => (await load(made)).description.steps[0]?.retry?.times
    expect([await times(), await times()]).toEqual([1, 1])
    expect(loads(made)).toBe(1)
    process.env['GANGFLOW_TEST_OFTEN'] = '5'
    try {
      expect([await times(), await times()]).toEqual([5, 5])
      expect(loads(made)).toBe(2)
    } finally {
      delete process.env['GANGFLOW_TEST_OFTEN']
    }
  })

  it.each([
    ['the clock', 'const today = new Date().getFullYear()'],
    [
      'a file',
      'import { readFileSync } from "node:fs"; const text = readFileSync(new URL("./note.txt", import.meta.url), "utf8")',
    ],
    ['chance', 'const luck = Math.random()'],
    ['the machine', 'import { cpus } from "node:os"; const many = cpus().length'],
    ['a command', 'import { execSync } from "node:child_process"; const said = execSync("true")'],
  ])('never when the module looked at %s', async (_, before) => {
    const made = counted(before)
    made.write({ 'note.txt': 'a note' })
    await load(made)
    await load(made)
    expect(loads(made)).toBe(2)
  })

  it('until an imported package changes', async () => {
    const made = counted('import "pkg"')
    const install = (version: string) =>
      made.write({
        'node_modules/pkg/package.json': JSON.stringify({ name: 'pkg', version, main: 'index.js' }),
        'node_modules/pkg/index.js': 'module.exports = 1',
      })
    install('1.0.0')
    await load(made)
    await load(made)
    expect(loads(made)).toBe(1)
    install('1.0.1')
    await load(made)
    expect(loads(made)).toBe(2)
  })
})

it("stacks in a body show the person's own files and lines", async () => {
  const made = flowProject({
    'flow.ts': small("import { fail } from './lib/fail.js'", 'fail()'),
    'lib/fail.ts':
      'interface Long {\n  a: number\n}\nexport function fail(): never {\n  throw new RangeError("deliberate")\n}\n',
  })
  const { bundle } = await compile(made)
  made.write({
    'run.ts': `import { loadFlow } from '${repository}packages/core/src/compile/load-flow.js'
      const Flow = await loadFlow(${JSON.stringify(bundle)}, 'flow.ts')
      try { new Flow().end() } catch (error) { console.log(error.stack) }`,
  })
  const { buildSync } = await import('esbuild')
  buildSync({
    entryPoints: [made.path('run.ts')],
    bundle: true,
    platform: 'node',
    format: 'esm',
    outfile: made.path('run.mjs'),
  })
  const { stdout } = await promisify(execFile)(process.execPath, [made.path('run.mjs')])
  const [what, first, second] = stdout.split('\n')
  expect(what).toBe('RangeError: deliberate')
  expect(first).toMatch(new RegExp(`at fail \\(${made.path('lib/fail.ts')}:5:9\\)$`))
  expect(second).toMatch(new RegExp(`at .*end \\(${made.path('flow.ts')}:5:17\\)$`))
  expect(existsSync(`${bundle}.map`)).toBe(true)
})
