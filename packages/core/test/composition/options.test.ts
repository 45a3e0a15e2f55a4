import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { loadBackend } from '../../src/composition/backends.js'
import { findConfig, loadConfig } from '../../src/composition/config-file.js'
import { mergeOptions } from '../../src/composition/options.js'

const folder = mkdtempSync(join(tmpdir(), 'gangflow-options-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const write = (path: string, text: string) => {
  mkdirSync(join(folder, path, '..'), { recursive: true })
  writeFileSync(join(folder, path), text)
  return join(folder, path)
}

describe('options', () => {
  it('take flags before the environment before the config file', () => {
    const config = {
      path: 'gangflow.config.ts',
      content: { maxWorkers: 1, backend: 'file', env: { A: 'file', B: 'file' }, timeout: '1h', tags: ['file'] },
    }
    const env = { GANGFLOW_MAX_WORKERS: '2', GANGFLOW_BACKEND: 'env', GANGFLOW_TAGS: 'a, b' }
    const merged = mergeOptions({ backend: 'flag', maxWorkers: undefined as never, env: { A: 'flag' } }, env, config)
    expect(merged).toMatchObject({
      backend: 'flag',
      maxWorkers: 2,
      tags: ['a', 'b'],
      timeout: '1h',
      env: { A: 'flag', B: 'file' },
    })
  })

  it('are refused by name, with where they stand', () => {
    const refuse = (given: object, env: object, content?: unknown) => () =>
      mergeOptions(
        given,
        env as NodeJS.ProcessEnv,
        content === undefined ? undefined : { path: 'my.config.ts', content },
      )
    expect(refuse({}, {}, { maxWorker: 2 })).toThrow(
      /my\.config\.ts has an unknown option 'maxWorker'[\s\S]*maxWorkers/,
    )
    expect(refuse({}, {}, { maxWorkers: '2' })).toThrow(/maxWorkers must be a whole number/)
    expect(refuse({}, {}, [])).toThrow(/no table/)
    expect(refuse({}, { GANGFLOW_MAX_WORKERS: 'many' })).toThrow(/environment has maxWorkers/)
    expect(refuse({}, { GANGFLOW_BACKEND_OPTIONS: '{' })).toThrow(/GANGFLOW_BACKEND_OPTIONS is no JSON/)
    expect(refuse({ tags: 'one' }, {})).toThrow(/tags must be a list/)
    expect(refuse({ timeout: 'soon' }, {})).toThrow(/no duration/)
    expect(refuse({ env: { A: 1 } }, {})).toThrow(/table of texts/)
  })
})

describe('the config file', () => {
  it('is the nearest, in TypeScript with imports, in JavaScript or JSON', async () => {
    write('a/values.ts', 'export const workers: number = 3')
    write(
      'a/gangflow.config.ts',
      "import { workers } from './values'\nexport default { maxWorkers: workers as number }",
    )
    write('b/gangflow.config.mjs', 'export default { backend: "x" }')
    const json = write('gangflow.config.json', '{ "tags": ["j"] }')
    const find = (flow: string) => findConfig(join(folder, flow))!
    expect(await loadConfig(find('a/flow.ts'))).toEqual({ maxWorkers: 3 })
    expect(await loadConfig(find('b/flow.ts'))).toEqual({ backend: 'x' })
    expect(find('c/d/flow.ts')).toBe(json)
    expect(await loadConfig(json)).toEqual({ tags: ['j'] })
    expect(readdirSync(join(folder, 'a')).sort()).toEqual(['gangflow.config.ts', 'values.ts'])
  })

  it('is named when it cannot be read', async () => {
    await expect(loadConfig(write('broken/gangflow.config.ts', 'export default {'))).rejects.toMatchObject({
      code: 'E_CONFIG',
    })
    await expect(loadConfig(write('thrower/gangflow.config.mjs', 'throw new Error("no")'))).rejects.toThrow(
      /gangflow\.config\.mjs cannot be read: no/,
    )
  })
})

describe('backends', () => {
  const builtIn = { local: async () => () => ({ name: 'local', plan: () => null, start: () => Promise.reject() }) }
  const factory = (name: string) =>
    `export const createBackend = (options) => ({ name: '${name}', plan: () => options, start() {} })`
  const load = (name: string) => loadBackend(name, join(folder, 'p', 'flow.mjs'), builtIn)
  const install = (name: string, manifest: object, source: string) => {
    write(`p/node_modules/${name}/package.json`, JSON.stringify({ name, type: 'module', ...manifest }))
    write(`p/node_modules/${name}/lib/index.js`, source)
  }

  it('are core’s own, else packages of the flow’s project by their three names', async () => {
    install(
      '@gangflow/backend-moon',
      { exports: { '.': { types: './x.d.ts', import: './lib/index.js' } } },
      factory('moon'),
    )
    install('gangflow-backend-mars', { main: 'lib/index.js' }, factory('mars'))
    install(
      '@acme/venus',
      { exports: './lib/index.js' },
      factory('venus').replace('export const createBackend =', 'export default'),
    )
    const place = {} as never
    expect((await load('local'))({}, place).name).toBe('local')
    expect((await load('moon'))({}, place).name).toBe('moon')
    expect((await load('mars'))({ a: 1 }, place).plan({} as never)).toEqual({ a: 1 })
    expect((await load('@acme/venus'))({}, place).name).toBe('venus')
  })

  it('are named when they are not there or are none', async () => {
    await expect(load('pluto')).rejects.toMatchObject({ code: 'E_BACKEND_UNKNOWN' })
    await expect(load('pluto')).rejects.toThrow(/@gangflow\/backend-pluto, gangflow-backend-pluto, pluto[\s\S]*local/)
    install('gangflow-backend-none', { main: 'lib/index.js' }, 'export const other = 1')
    await expect(load('none')).rejects.toMatchObject({ code: 'E_BACKEND_LOAD' })
    install('gangflow-backend-broken', { main: 'lib/index.js' }, 'throw new Error("broken inside")')
    await expect(load('broken')).rejects.toThrow(/broken inside/)
  })
})
