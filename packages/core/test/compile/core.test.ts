import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { bundleFlow } from '../../src/compile/bundle-flow.js'
import { coreEntry, findCore, runningCore } from '../../src/compile/find-core.js'
import { locateFlow } from '../../src/compile/locate-flow.js'
import { requireOneCore } from '../../src/compile/one-core.js'
import { handedOver, ownCore } from '../../src/compile/own-core.js'
import { type Project, project } from './project.js'

const core = (folder: string, version: string) => ({
  [`${folder}/node_modules/@gangflow/core/package.json`]: JSON.stringify({
    name: '@gangflow/core',
    version,
    type: 'module',
    exports: { '.': './dist/index.js', './package.json': './package.json' },
  }),
  [`${folder}/node_modules/@gangflow/core/dist/index.js`]: 'export const step = 1',
  [`${folder}/node_modules/@gangflow/core/dist/cli.cjs`]: '',
})
const plugin = (folder: string, name: string, more: object = {}) => ({
  [`${folder}/node_modules/${name}/package.json`]: JSON.stringify({
    name,
    type: 'module',
    main: 'index.js',
    peerDependencies: { '@gangflow/core': '*' },
    ...more,
  }),
  [`${folder}/node_modules/${name}/index.js`]: "import '@gangflow/core'",
})

describe('the flow file', () => {
  it('is found by its real path', async () => {
    const made = project({ 'flow.ts': '' })
    made.link('flow.ts', 'alias.ts')
    expect(await locateFlow('alias.ts', made.root)).toBe(made.path('flow.ts'))
  })

  it.each([
    ['flow', 'does not exist', /did you mean .*\/flow\.ts\?/],
    ['missing.ts', 'does not exist', /check the path/],
    ['folder', 'is a folder', /folder\/train\.ts/],
    ['notes.txt', 'is neither TypeScript nor JavaScript', /\.ts, \.mts/],
  ])('%s is refused', async (name, what, fix) => {
    const made = project({ 'flow.ts': '', 'folder/train.ts': '', 'notes.txt': '' })
    const error = await locateFlow(name, made.root).catch((thrown) => thrown)
    expect(error).toMatchObject({ code: 'E_FLOW_FILE', details: { file: made.path(name) } })
    expect(error.what).toContain(what)
    expect(error.fix).toMatch(fix)
  })
})

describe("the flow's core", () => {
  it('is the one that the flow resolves', () => {
    const made = project({ ...core('.', '1.2.3'), 'app/flow.ts': '' })
    expect(findCore(made.path('app/flow.ts'))).toEqual({
      folder: made.path('node_modules/@gangflow/core'),
      version: '1.2.3',
    })
  })

  it('is a named error with the command when there is none', () => {
    const made = project({ 'package.json': '{}', 'app/flow.ts': '' })
    expect(() => findCore(made.path('app/flow.ts'))).toThrow(
      expect.objectContaining({ code: 'E_CORE_MISSING', fix: `run: cd ${made.root} && npm install @gangflow/core` }),
    )
  })

  it('is a named error when it was not built', () => {
    const made = project(core('.', '1.2.3'))
    expect(() => coreEntry(findCore(made.path('flow.ts')), 'describe.js')).toThrow(
      expect.objectContaining({ code: 'E_CORE_INCOMPATIBLE' }),
    )
  })
})

describe('two cores', () => {
  const check = async (made: Project) => {
    const flow = made.path('flow.ts')
    const { pins } = await bundleFlow(flow, [])
    requireOneCore(flow, findCore(flow), pins)
  }
  const flow = { 'package.json': '{ "type": "module" }', 'flow.ts': "import '@gangflow/core'; import 'a-plugin'" }

  it('one shared by flow, plugin and workspace is none', async () => {
    const made = project({ ...flow, ...core('.', '1.0.0'), ...plugin('.', 'a-plugin') })
    await check(made)
  })

  it('nested in a plugin', async () => {
    const nested = core('node_modules/a-plugin', '2.0.0')
    const made = project({ ...flow, ...core('.', '1.0.0'), ...plugin('.', 'a-plugin'), ...nested })
    const error = await check(made).catch((thrown) => thrown)
    expect(error).toMatchObject({ code: 'E_TWO_CORES' })
    expect(error.what).toContain(`1.0.0 at ${made.path('node_modules/@gangflow/core')}, by ${made.path('flow.ts')}`)
    expect(error.what).toContain(
      `2.0.0 at ${made.path('node_modules/a-plugin/node_modules/@gangflow/core')}, by ${made.path('node_modules/a-plugin/package.json')}`,
    )
  })

  it("nested in a plugin's own plugin", async () => {
    const made = project({
      ...flow,
      ...core('.', '1.0.0'),
      ...plugin('.', 'a-plugin', { dependencies: { deeper: '*' } }),
      ...plugin('.', 'deeper'),
      ...core('node_modules/deeper', '1.0.0'),
    })
    await expect(check(made)).rejects.toMatchObject({ code: 'E_TWO_CORES' })
  })

  it('in a workspace package of the project', async () => {
    const made = project({
      'package.json': '{ "type": "module" }',
      'flow.ts': "import '@gangflow/core'; import '@work/other'",
      ...core('.', '1.0.0'),
      'other/package.json': '{ "name": "@work/other", "type": "module", "exports": "./index.ts" }',
      'other/index.ts': "export { step } from '@gangflow/core'",
      ...core('other', '1.0.0'),
    })
    made.link('other', 'node_modules/@work/other')
    const error = await check(made).catch((thrown) => thrown)
    expect(error).toMatchObject({ code: 'E_TWO_CORES' })
    expect(error.what).toContain(`by ${made.path('other/index.ts')}`)
  })

  it('a tsconfig alias does not make core a part of the project', async () => {
    const made = project({
      ...core('.', '1.0.0'),
      'package.json': '{ "type": "module" }',
      'tsconfig.json': '{ "compilerOptions": { "paths": { "@gangflow/core": ["./core-source/index.ts"] } } }',
      'core-source/index.ts': 'export const step = 1',
      'flow.ts': "import { step } from '@gangflow/core'; export default step",
    })
    const { pins } = await bundleFlow(made.path('flow.ts'), [])
    expect(pins.map((pin) => pin.path)).toEqual([made.path('node_modules/@gangflow/core/dist/index.js')])
  })
})

describe('a command of another version', () => {
  it("hands over to the bin of the flow's core, once", () => {
    const made = project({ ...core('.', '9.9.9'), 'flow.ts': '' })
    const folder = made.path('node_modules/@gangflow/core')
    expect(ownCore(made.path('flow.ts'), {})).toEqual({
      differs: true,
      version: '9.9.9',
      folder,
      bin: join(folder, 'dist/cli.cjs'),
    })
    expect(ownCore(made.path('flow.ts'), { [handedOver]: '1' })).toEqual({ differs: false })
  })

  it('runs a flow of its own core, and one without any, itself', () => {
    const made = project({ 'flow.ts': '' })
    expect(ownCore(made.path('flow.ts'), {})).toEqual({ differs: false })
    expect(ownCore(join(runningCore().folder, 'src/index.ts'), {})).toEqual({ differs: false })
  })
})
