import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build, type TransformOptions, transform } from 'esbuild'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const root = new URL('../..', import.meta.url).pathname
const fixtures = new URL('./fixtures/', import.meta.url).pathname
const protocols = { standard: {}, legacy: { experimentalDecorators: true, useDefineForClassFields: false } }
type Protocol = keyof typeof protocols

let base: string

beforeAll(async () => {
  base = realpathSync(mkdtempSync(join(tmpdir(), 'gangflow-decorators-')))
  mkdirSync(join(base, 'node_modules/@gangflow'), { recursive: true })
  symlinkSync(join(root, 'packages/core'), join(base, 'node_modules/@gangflow/core'))
  symlinkSync(join(root, 'node_modules/acorn'), join(base, 'node_modules/acorn'))
  await build({
    entryPoints: [join(fixtures, 'inspect.ts')],
    outfile: join(base, 'inspect.mjs'),
    bundle: true,
    format: 'esm',
    platform: 'node',
    external: ['acorn'],
    logLevel: 'error',
  })
  writeFileSync(
    join(base, 'main.mjs'),
    `import { inspect } from './inspect.mjs'
import { runStep } from '@gangflow/core/testing'
const { default: Train } = await import(process.argv[2])
console.log(JSON.stringify(await inspect(Train, runStep)))
`,
  )
})
afterAll(() => rmSync(base, { recursive: true, force: true }))

/** A folder of its own with the fixture, its tsconfig and a package.json. */
function folder(name: string, protocol: Protocol): string {
  const to = join(base, name)
  mkdirSync(to)
  for (const file of ['flow.ts', 'plugin.ts', 'plain.js']) cpSync(join(fixtures, file), join(to, file))
  writeFileSync(join(to, 'package.json'), '{"type":"module"}')
  const compilerOptions = {
    target: 'es2022',
    module: 'nodenext',
    moduleResolution: 'nodenext',
    sourceMap: true,
    skipLibCheck: true,
    noCheck: true,
    types: [],
    ...protocols[protocol],
  }
  writeFileSync(join(to, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['flow.ts'] }))
  return to
}

function node(args: readonly string[], cwd: string): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(process.execPath, args, { cwd, env: { ...process.env, NODE_OPTIONS: '' } }, (error, out, err) =>
      error ? reject(new Error(`${out}${err}`)) : resolve(out),
    )
  })
}

const inspectFile = async (file: string, cwd: string, ...flags: string[]) =>
  JSON.parse(await node([...flags, join(base, 'main.mjs'), pathToFileURL(file).href], cwd))

/** What all ways agree on. */
const expected = {
  name: 'Train',
  complaints: [],
  parameters: ['lr'],
  steps: [
    ['start', 'foreach', 0, ''],
    ['end', 'end', 0, ''],
    ['fit', 'linear', 2, 'fake {"port":1}'],
    ['join', 'linear', 0, ''],
  ],
  fitted: { items: ['stored'], loss: 1.5, best: 'fit 1' },
  joined: { items: ['a', 'bb'], loss: 2 },
}
const written = { ...expected, places: ['flow.ts:21', 'flow.ts:12', 'flow.ts:28', 'flow.ts:36'], doc: 'Ends it.' }

describe('a decorated flow is the same', () => {
  for (const protocol of ['standard', 'legacy'] as const) {
    for (const compiler of ['typescript', 'typescript-5'])
      it(`compiled by ${compiler}, ${protocol}`, async () => {
        const at = folder(`${compiler}-${protocol}`, protocol)
        await node([join(root, `node_modules/${compiler}/bin/tsc`), '-p', at], at)
        expect(await inspectFile(join(at, 'flow.js'), at)).toEqual(written)
      })

    for (const target of ['es2022', 'node20'])
      it(`compiled by esbuild for ${target}, ${protocol}`, async () => {
        const at = folder(`esbuild-${target}-${protocol}`, protocol)
        for (const name of ['flow', 'plugin']) {
          const options: TransformOptions = {
            loader: 'ts',
            format: 'esm',
            target,
            sourcemap: 'inline',
            sourcefile: `${name}.ts`,
            keepNames: true,
          }
          const { code } = await transform(readFileSync(join(at, `${name}.ts`), 'utf8'), {
            ...options,
            tsconfigRaw: { compilerOptions: protocols[protocol] },
          })
          writeFileSync(join(at, `${name}.js`), code)
        }
        expect(await inspectFile(join(at, 'flow.js'), at)).toEqual(written)
      })

    it(`run by tsx, ${protocol}`, async () => {
      const at = folder(`tsx-${protocol}`, protocol)
      const tsx = pathToFileURL(join(root, 'node_modules/tsx/dist/loader.mjs')).href
      expect(await inspectFile(join(at, 'flow.ts'), at, '--import', tsx)).toEqual(written)
    })
  }

  it('decorated without decorators in plain JavaScript', async () => {
    const at = folder('plain', 'standard')
    const places = ['plain.js:20', 'plain.js:10', 'plain.js:23', 'plain.js:30']
    expect(await inspectFile(join(at, 'plain.js'), at)).toEqual({ ...expected, places })
  })
})
