import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'

const bin = new URL('../../dist/cli.cjs', import.meta.url).pathname
let home: string
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'gangflow-cache-'))
})
afterEach(() => rmSync(home, { recursive: true, force: true }))

const folder = () => join(home, 'gangflow')
const kept = () => readdirSync(folder()).filter((name) => name.endsWith('.code'))

/** `gangflow runs` on an empty datastore. */
function runs(env: NodeJS.ProcessEnv = { XDG_CACHE_HOME: home }): void {
  const { HOME: _, XDG_CACHE_HOME: __, ...others } = process.env
  const words = [bin, 'runs', '--json', '--datastore', join(home, 'store')]
  const { status, stdout, stderr } = spawnSync(process.execPath, words, {
    env: { ...others, ...env },
    encoding: 'utf8',
  })
  expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: expect.any(String), stderr: '' })
}

it('is made by the first command and used by the next', () => {
  runs()
  const [name] = kept()
  expect(kept()).toHaveLength(1)
  const path = join(folder(), name!)
  expect(statSync(folder()).mode & 0o777).toBe(0o700)
  expect(statSync(path).mode & 0o777).toBe(0o600)
  utimesSync(path, 1e9 + 1, Math.floor(Date.now() / 1000) - 60)
  const before = statSync(path).mtimeMs
  runs()
  expect(statSync(path).mtimeMs).toBe(before)
})

it('is made anew where what lies there does not fit', () => {
  runs()
  const path = join(folder(), kept()[0]!)
  writeFileSync(path, 'nothing that was compiled')
  runs()
  expect(statSync(path).size).toBeGreaterThan(1000)
})

it('is not used where others may write', () => {
  mkdirSync(folder())
  chmodSync(folder(), 0o777)
  runs()
  expect(readdirSync(folder())).toEqual([])
})

it('loses what is old', () => {
  mkdirSync(folder(), { mode: 0o700 })
  const old = join(folder(), 'cli-v20.0.0-x64-1-1.code')
  writeFileSync(old, '')
  utimesSync(old, 1e9, 1e9)
  runs()
  expect(kept()).toHaveLength(1)
  expect(kept()).not.toContain('cli-v20.0.0-x64-1-1.code')
})

it('loses the oldest of many', () => {
  mkdirSync(folder(), { mode: 0o700 })
  for (let index = 0; index < 20; index += 1) {
    const path = join(folder(), `cli-v20.0.0-x64-1-${index}.code`)
    writeFileSync(path, '')
    utimesSync(path, Date.now() / 1000, Date.now() / 1000 - 1000 + index)
  }
  runs()
  expect(kept()).toHaveLength(17)
  expect(kept()).not.toContain('cli-v20.0.0-x64-1-0.code')
  expect(kept()).toContain('cli-v20.0.0-x64-1-19.code')
})

it('is done without where there is no home', () => runs({}))
