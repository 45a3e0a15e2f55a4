import { afterEach, describe, expect, it, vi } from 'vitest'
import { bundleFlow } from '../../src/compile/bundle-flow.js'
import { keptBundleOf } from '../../src/compile/kept-bundle.js'
import { storeBundle } from '../../src/compile/store-bundle.js'
import { openDatastore } from '../../src/datastore/open.js'
import { type Project, project } from './project.js'

afterEach(() => vi.unstubAllEnvs())

const files = {
  'package.json': '{ "name": "a-flow", "type": "module" }',
  'tsconfig.json': '{ "extends": "./base.json" }',
  'base.json': '{ "compilerOptions": { "target": "es2022" } }',
  'flow.ts':
    "import { b } from './lib/b.js'\nimport 'a-package'\nimport data from './data.json'\nexport default [b, data]",
  'lib/b.ts': 'export const b = 1',
  'data.json': '{ "one": 1 }',
  'node_modules/a-package/package.json': '{ "name": "a-package", "version": "1.0.0", "main": "index.js" }',
  'node_modules/a-package/index.js': '',
  'node_modules/a-package/other.js': '',
}

/** Compiles and keeps; `later` is how long after the last change that was. */
async function kept(made: Project, { flow = 'flow.ts', later = 10_000 } = {}) {
  const store = await openDatastore(made.path('.gangflow'))
  const last = keptBundleOf(made.path(flow), [], store)
  const bundle = await bundleFlow(made.path(flow), [])
  const stored = await storeBundle(bundle, store)
  await last.keep(bundle, Date.now() + later)
  return { last, bundle, stored }
}

describe('an unchanged flow', () => {
  it('is not compiled again', async () => {
    const { last, bundle } = await kept(project(files))
    const { code, map, pins, sources } = bundle
    const again = await last.read()
    expect(again).toMatchObject({ pins, sources })
    expect(Buffer.compare(again!.code, code)).toBe(0)
    expect(Buffer.compare(again!.map, map)).toBe(0)
  })

  it('is, when a file was written while it was compiled', async () => {
    const { last } = await kept(project(files), { later: -60_000 })
    expect(await last.read()).toBeUndefined()
  })

  it('is, when what was kept is gone or spoilt', async () => {
    const made = project(files)
    const { last, stored } = await kept(made)
    made.write({ [stored.path.slice(made.root.length + 1)]: 'export default 2' })
    expect(await last.read()).toBeUndefined()
  })

  it.each([
    ['an alias', { 'tsconfig.json': '{ "compilerOptions": { "paths": { "~/*": ["./lib/*"] } } }' }],
    ['an alias in what tsconfig.json extends', { 'base.json': '{ "compilerOptions": { "baseUrl": "." } }' }],
    ['a tsconfig.json that extends what is not there', { 'tsconfig.json': '{ "extends": "./none.json" }' }],
    ['a pattern of imports', { 'flow.ts': 'export default (a: string) => import("./lib/" + a + ".ts")' }],
    ['a place that it asks for', { 'flow.ts': "export default import.meta.resolve('a-package')" }],
  ])('is, with %s', async (_, more) => {
    const { last } = await kept(project({ ...files, ...more }))
    expect(await last.read()).toBeUndefined()
  })
})

describe('a flow is compiled again after', () => {
  it.each<[string, (made: Project) => void]>([
    ['a change of its file', (made) => made.write({ 'flow.ts': `${files['flow.ts']} ` })],
    ['a change of what it imports', (made) => made.write({ 'lib/b.ts': 'export const b = 2' })],
    ['a change of data that it imports', (made) => made.write({ 'data.json': '{ "one": 2 }' })],
    ['a change of tsconfig.json', (made) => made.write({ 'tsconfig.json': '{ "extends": "./base.json", "a": 1 }' })],
    ['a change of what tsconfig.json extends', (made) => made.write({ 'base.json': '{ "compilerOptions": {} }' })],
    ['a nearer tsconfig.json', (made) => made.write({ 'lib/tsconfig.json': '{}' })],
    ['a change of package.json', (made) => made.write({ 'package.json': '{ "name": "a-flow" }' })],
    ['a nearer package.json', (made) => made.write({ 'lib/package.json': '{ "type": "commonjs" }' })],
    ['a file that is found before another', (made) => made.write({ 'lib/b.js': 'export const b = 3' })],
    [
      'another version of a package',
      (made) => made.write({ 'node_modules/a-package/package.json': '{ "name": "a-package", "version": "1.1.0" }' }),
    ],
    ['a change of the imported file of a package', (made) => made.write({ 'node_modules/a-package/index.js': '1' })],
    ['an install', (made) => made.write({ 'node_modules/b-package/package.json': '{}' })],
    ['a nearer node_modules', (made) => made.write({ 'lib/node_modules/c/package.json': '{}' })],
    ['an update of what npm has written down', (made) => made.write({ 'node_modules/.package-lock.json': '{}' })],
    ['other conditions', () => vi.stubEnv('NODE_OPTIONS', '--conditions=development')],
    ['another NODE_PATH', () => vi.stubEnv('NODE_PATH', '/elsewhere')],
  ])('%s', async (_, change) => {
    const made = project(files)
    const { last } = await kept(made)
    expect(await last.read()).toBeDefined()
    change(made)
    expect(await last.read()).toBeUndefined()
  })
})
