import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { packFlow } from '../../../src/compile/package/pack-flow.js'
import { summarize } from '../../../src/compile/package/summary.js'
import { openDatastore } from '../../../src/datastore/open.js'
import { type Project, project } from '../project.js'

const none = { hash: '', size: 0 }

/** A flow of this project, as if it were compiled: its bundle has nothing in it. */
function compiled(made: Project, flow = 'flow.ts', pinned: readonly string[] = []) {
  made.write({
    'core/package.json': '{ "name": "@gangflow/core", "version": "1.2.3" }',
    'core/dist/body.cjs': `loadCompiled(__dirname, 'shared')`,
    'core/dist/shared.cjs': `import('./launcher.js')`,
    'core/dist/index.js': '',
    'core/dist/plugin.js': `import './chunk-1.js'`,
    'core/dist/chunk-1.js': '',
    'core/dist/launcher.js': '',
    'out/flow.mjs': '',
  })
  return {
    file: made.path(flow),
    bundle: made.path('out/flow.mjs'),
    core: made.path('core'),
    ref: { hash: '', code: none, map: none },
    uses: { sources: [made.path(flow)], pinned: pinned.map((path) => made.path(path)) },
  }
}

const own = async (made: Project, options = {}, flow = 'app/flow.ts'): Promise<string[]> => {
  const { project: places } = await summarize(compiled(made, flow), options)
  return [...places].sort()
}

const app = { 'app/package.json': '{ "name": "app" }', 'app/flow.ts': '' }

describe('the files of a project that travel', () => {
  it("are those of the flow's package, without what is made anew and what is secret", async () => {
    const made = project({
      ...app,
      'app/train.py': '',
      'app/lib/data.csv': '',
      'app/.env': '',
      'app/.env.local': '',
      'app/certs/server.key': '',
      'app/.npmrc': '',
      'app/.gangflow/records/x': '',
      'app/.git/config': '',
      'app/node_modules/x/index.js': '',
      'app/lib/node_modules/y/index.js': '',
      'app/__pycache__/train.pyc': '',
      'app/.venv/bin/python': '',
      'app/tsconfig.json': '{}',
      'beside/file.txt': '',
    })
    expect(await own(made)).toEqual(['flow.ts', 'lib/data.csv', 'package.json', 'train.py', 'tsconfig.json'])
  })

  it('are less what .gitignore and .gangflowignore say, of folders above and below too', async () => {
    const made = project({
      ...app,
      '.git/config': '',
      '.gitignore': '*.log\n/app/build\n',
      'app/a.log': '',
      'app/build/x.js': '',
      'app/keep/b.log': '',
      'app/keep/.gitignore': '!b.log\n',
      'app/big/one.bin': '',
      'app/.gangflowignore': 'big/\n!build/\n',
      'app/docs/.gangflowignore': '*\n',
      'app/docs/page.md': '',
    })
    expect(await own(made)).toEqual([
      '.gangflowignore',
      'build/x.js',
      'flow.ts',
      'keep/.gitignore',
      'keep/b.log',
      'package.json',
    ])
  })

  it('are changed by include and exclude, which have the last word', async () => {
    const made = project({
      ...app,
      '.git/config': '',
      '.gitignore': 'dist/\ndata/\n',
      'app/dist/made.js': '',
      'app/data/a.csv': '',
      'app/data/b.csv': '',
      'app/.env': '',
      'app/notes/x.txt': '',
    })
    const options = { include: ['dist/', 'data/a.csv', '.env'], exclude: ['notes/'] }
    expect(await own(made, options)).toEqual(['.env', 'data/a.csv', 'dist/made.js', 'flow.ts', 'package.json'])
  })

  it('have their links, empty folders, and never the datastore', async () => {
    const made = project({ ...app, 'app/words.txt': 'words', 'other/far.txt': 'far', 'app/store/blobs/x': '' })
    mkdirSync(made.path('app/results'))
    made.linkTo('words.txt', 'app/near.txt')
    made.link('other/far.txt', 'app/far.txt')
    made.link('other', 'app/other')
    made.linkTo('gone', 'app/dangling')
    execFileSync('mkfifo', [made.path('app/pipe')])
    expect(await own(made, { without: [made.path('app/store')] })).toEqual([
      'far.txt',
      'flow.ts',
      'package.json',
      'words.txt',
    ])
  })

  it("are those of the flow's folder where no package.json is", async () => {
    const made = project({ 'flows/a/flow.ts': '', 'flows/a/words.txt': '', 'flows/b.txt': '' })
    expect(await own(made, {}, 'flows/a/flow.ts')).toEqual(['flow.ts', 'words.txt'])
  })

  it('are refused when they are too many bytes, the largest by name', async () => {
    const made = project({ ...app, 'app/data/a.bin': Buffer.alloc(2e6), 'app/b.bin': Buffer.alloc(1e6) })
    const store = await openDatastore(made.path('store'))
    const flow = compiled(made, 'app/flow.ts')
    await expect(packFlow(flow, store, { limit: '2.5MB' })).rejects.toMatchObject({
      code: 'E_CODE_LIMIT',
      what: expect.stringMatching(/has 3\.0 MB, and at most 2\.5 MB .* largest: data\/ 2\.0 MB, b\.bin 1\.0 MB/),
      fix: expect.stringContaining(made.path('app/.gangflowignore')),
    })
    await expect(packFlow(flow, store, { limit: 'much' })).rejects.toMatchObject({ code: 'E_OPTION' })
    expect(await summarize(flow, { limit: '2.5MB' })).toMatchObject({
      limit: 2.5e6,
      largest: expect.arrayContaining([{ name: 'data/', bytes: 2e6 }]),
    })
    await store.close()
  })
})

describe('the packages that travel', () => {
  it('are whole, with what they depend on, and core with what a body loads', async () => {
    const made = project({
      'flow.ts': '',
      'node_modules/a/package.json':
        '{ "name": "a", "version": "1.0.0", "dependencies": { "b": "1", "gone": "1" }, "devDependencies": { "dev": "1" } }',
      'node_modules/a/lib/deep/index.js': '',
      'node_modules/a/lib/package.json': '{ "name": "a/lib", "type": "module" }',
      'node_modules/a/README.md': '',
      'node_modules/a/node_modules/b/package.json':
        '{ "name": "b", "version": "1.0.0", "peerDependencies": { "c": "*" } }',
      'node_modules/b/package.json': '{ "name": "b", "version": "2.0.0" }',
      'node_modules/c/package.json':
        '{ "name": "c", "version": "3.0.0", "dependencies": { "@gangflow/core": "*", "a": "*" } }',
      'node_modules/dev/package.json': '{ "name": "dev" }',
      'node_modules/other/package.json': '{ "name": "other" }',
    })
    const flow = compiled(made, 'flow.ts', ['node_modules/a/lib/deep/index.js'])
    const asked = await summarize(flow, { include: ['node_modules/other'] })
    expect(asked.parts.some(({ name }) => name === 'other')).toBe(true)
    const { parts } = await summarize(flow)
    const listed = parts
      .filter(({ kind }) => kind !== 'project')
      .map(({ name, version, files }) => [name, version, files])
    expect(listed.sort()).toEqual([
      ['a', '1.0.0', 4],
      ['b', '1.0.0', 1],
      ['c', '3.0.0', 1],
    ])
  })
})
