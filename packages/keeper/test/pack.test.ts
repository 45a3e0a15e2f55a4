import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'

const root = new URL('..', import.meta.url).pathname
const folder = mkdtempSync(join(tmpdir(), 'gangflow-pack-'))
const platform = `${process.platform}-${process.arch}`
const version = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).version as string
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Installs the tarballs alone, without a registry, where nothing else is; what the helper says it is. */
function installed(name: string, tarballs: string[]): { path: string; version: string } {
  const cwd = join(folder, name)
  mkdirSync(cwd)
  writeFileSync(join(cwd, 'package.json'), '{"private":true}')
  execFileSync('npm', ['install', '--offline', '--no-audit', '--no-fund', ...tarballs], { cwd, stdio: 'pipe' })
  const script = `import('@gangflow/keeper').then((k) => console.log(k.keeperBinary()))`
  const { GANGFLOW_KEEPER: _, ...env } = process.env
  const path = execFileSync(process.execPath, ['-e', script], { cwd, env, encoding: 'utf8' }).trim()
  // Beside it: ends a process that a disk would keep, with its exit code.
  const exit = `process.dlopen({ exports: { code: 7 } }, ${JSON.stringify(join(path, '../exit.node'))})`
  expect(spawnSync(process.execPath, ['-e', exit], { cwd }).status).toBe(7)
  return { path, version: execFileSync(path, ['--version'], { encoding: 'utf8' }).trim() }
}

const tarballsIn = (path: string) => readdirSync(path).map((name) => join(path, name))

describe('the packed helper', () => {
  it('comes with a plain `npm pack`, for this platform', () => {
    const to = join(folder, 'plain')
    mkdirSync(to)
    execFileSync('npm', ['pack', '--pack-destination', to], { cwd: root, stdio: 'pipe' })
    const found = installed('plain-user', tarballsIn(to))
    expect(found.path).toContain(join('node_modules', '@gangflow', 'keeper', 'dist', platform))
    expect(found.version).toBe(version)
  })

  it('comes as a package of the platform, as it is published', () => {
    const to = join(folder, 'published')
    const printed = execFileSync(process.execPath, [join(root, 'pack.mjs'), '--to', to], { encoding: 'utf8' })
    expect(printed.trim().split('\n').sort()).toEqual(tarballsIn(to).sort())
    const found = installed('published-user', tarballsIn(to))
    expect(found.path).toContain(join('node_modules', '@gangflow', `keeper-${platform}`))
    expect(found.version).toBe(version)
  })

  it('is left out by GANGFLOW_KEEPER=none, and named by a path', () => {
    const ask = (value: string) =>
      execFileSync(process.execPath, ['-e', `import('${root}index.js').then((k) => console.log(k.keeperBinary()))`], {
        env: { ...process.env, GANGFLOW_KEEPER: value },
        cwd: folder,
        encoding: 'utf8',
      }).trim()
    expect(ask('none')).toBe('undefined')
    expect(ask('./mine')).toBe(join(folder, 'mine'))
  })
})

describe('the build', () => {
  it('without a compiler says what is lost, and goes on', () => {
    const copy = join(folder, 'packages', 'keeper')
    cpSync(root, copy, { recursive: true, filter: (path) => !path.startsWith(join(root, 'dist')) })
    const { GANGFLOW_KEEPER: _, CC: __, ...env } = process.env
    const run = spawnSync(process.execPath, [join(copy, 'build.mjs')], {
      env: { ...env, PATH: folder },
      encoding: 'utf8',
    })
    expect(run.status).toBe(0)
    expect(run.stderr).toContain('no C compiler')
    expect(run.stderr).toContain('fix: install gcc or clang')
  })
})
