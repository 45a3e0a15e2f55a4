// What we publish is what works: the packages as they are packed, installed in an unrelated folder.
import { type ExecFileException, execFile } from 'node:child_process'
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const repository = new URL('../..', import.meta.url).pathname
const fixtures = new URL('fixtures/outsider/', import.meta.url).pathname
const folder = realpathSync(mkdtempSync(join(tmpdir(), 'gangflow-outsider-')))
const project = join(folder, 'project')

interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

function command(cwd: string, name: string, ...args: string[]): Promise<Ended> {
  // Nothing of this repository: no npm_* of its scripts, no binaries of its node_modules.
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([key]) => !/^(npm_|NODE_PATH|VITEST|INIT_CWD)/.test(key)),
  )
  env['PATH'] = (env['PATH'] ?? '')
    .split(':')
    .filter((part) => !part.startsWith(repository))
    .join(':')
  return new Promise((settle) => {
    execFile(name, args, { cwd, env, maxBuffer: 1 << 26 }, (error: ExecFileException | null, stdout, stderr) => {
      settle({ code: error === null ? 0 : Number(error.code ?? 1), stdout, stderr })
    })
  })
}

beforeAll(async () => {
  mkdirSync(project)
  // The keeper as it is published: a package without a binary, and one for this platform.
  // People install only the plugins that they need: this one needs no TensorFlow, which brings much of its own.
  const packages = readdirSync(join(repository, 'packages')).filter((name) => !['keeper', 'plugin-tfjs'].includes(name))
  const packed = await Promise.all([
    command(repository, 'npm', 'pack', '--pack-destination', folder, ...packages.map((name) => `./packages/${name}`)),
    command(repository, 'node', 'packages/keeper/pack.mjs', '--to', folder),
  ])
  for (const { code, stderr } of packed) expect(code, stderr).toBe(0)
  const tarballs = readdirSync(folder)
    .filter((name) => name.endsWith('.tgz'))
    .map((name) => join(folder, name))
  expect(tarballs).toHaveLength(packages.length + 2)
  writeFileSync(join(project, 'package.json'), JSON.stringify({ name: 'outsider', private: true, type: 'module' }))
  for (const name of readdirSync(fixtures)) copyFileSync(join(fixtures, name), join(project, name))
  const installed = await command(project, 'npm', 'install', '--prefer-offline', '--no-audit', '--no-fund', ...tarballs)
  expect(installed, installed.stderr).toMatchObject({ code: 0 })
}, 600_000)

afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('the packed packages in an unrelated folder', () => {
  it('bring one core and nothing of the repository', () => {
    const modules = join(project, 'node_modules')
    expect(realpathSync(join(modules, '@gangflow/core'))).toBe(join(modules, '@gangflow/core'))
    const keeper = join(modules, `@gangflow/keeper-${process.platform}-${process.arch}/gangflow-keeper`)
    expect(existsSync(keeper)).toBe(true)
    expect(existsSync(join(modules, '@gangflow/plugin-torchrun/node_modules/@gangflow/core'))).toBe(false)
    expect(readdirSync(modules).filter((name) => ['vitest', 'typescript', 'yargs', 'tsyringe'].includes(name))).toEqual(
      [],
    )
  })

  it('run branches, a foreach inside one of them, a retry and a gang with allGather', async () => {
    const ran = await command(project, 'npx', '--no', 'gangflow', 'run', 'flow.ts', '--scale', '3')
    expect(ran, ran.stdout + ran.stderr).toMatchObject({ code: 0 })
    expect(ran.stdout).toContain('the answer is 48')
    expect(existsSync(join(project, '.gangflow'))).toBe(true)
  })

  it('read back what the run left, by the command and by the Client', async () => {
    const shown = await command(
      project,
      'npx',
      '--no',
      'gangflow',
      'artifacts',
      'Outsider/latest/end',
      'answer',
      '--json',
    )
    expect(shown, shown.stdout + shown.stderr).toMatchObject({ code: 0, stdout: expect.stringMatching(/\b48\b/) })
    const script =
      "import { Client } from '@gangflow/core'; console.log((await new Client().latest('Outsider')).artifacts.answer)"
    const read = await command(project, 'node', '--input-type=module', '-e', script)
    expect(read, read.stderr).toMatchObject({ code: 0, stdout: '48\n' })
  })

  it('map over all cores with core alone beside the program', async () => {
    const alone = join(folder, 'alone')
    for (const name of ['@gangflow/core', 'acorn'])
      cpSync(join(project, 'node_modules', name), join(alone, 'node_modules', name), { recursive: true })
    const text = `import { parallelMap, shared, WorkerPool } from '@gangflow/core/parallel'
      const factor = 3
      const seen = shared.int32(1)
      const given = await parallelMap(Array.from({ length: 1000 }, (_, index) => index), (each) => {
        Atomics.add(seen, 0, 1)
        return each * factor
      })
      const pool = new WorkerPool({ workers: 1, isolation: 'process' })
      const texts = await pool.map(['a', 'b'], (each) => each.toUpperCase() + factor)
      await pool.close()
      const failed = await parallelMap([{ a: 1 }], (each) => each.b.c).catch((error) => error.code)
      console.log(JSON.stringify([given.length, given[999], Atomics.load(seen, 0), texts, failed]))`
    writeFileSync(join(alone, 'program.mjs'), text)
    const mapped = await command(alone, 'node', 'program.mjs')
    expect(mapped, mapped.stderr).toMatchObject({ code: 0, stdout: '[1000,2997,1000,["A3","B3"],"E_MAP_ITEM"]\n' })
  })

  it('check a flow that uses a plugin', async () => {
    const checked = await command(project, 'npx', '--no', 'gangflow', 'check', 'torch.ts')
    expect(checked, checked.stdout + checked.stderr).toMatchObject({ code: 0 })
  })

  it('say what is wrong, where, and end with a code of their own', async () => {
    const text = readFileSync(join(fixtures, 'flow.ts'), 'utf8').replace('this.next(this.meet)', '')
    writeFileSync(join(project, 'broken.ts'), text)
    const refused = await command(project, 'npx', '--no', 'gangflow', 'run', 'broken.ts')
    expect(refused.code).not.toBe(0)
    expect(refused.stdout + refused.stderr).toMatch(/broken\.ts:\d+/)
    expect(refused.stdout + refused.stderr).toContain('collect')
  })

  it('type-check as they are used', async () => {
    const options = {
      strict: true,
      noEmit: true,
      target: 'es2022',
      module: 'nodenext',
      skipLibCheck: true,
      types: [],
      allowImportingTsExtensions: true,
    }
    writeFileSync(
      join(project, 'tsconfig.json'),
      JSON.stringify({
        compilerOptions: { ...options, lib: ['es2023', 'dom', 'esnext.decorators'] },
        files: ['flow.ts', 'torch.ts', 'read.ts'],
      }),
    )
    const typed = await command(project, join(repository, 'node_modules/.bin/tsc'), '-p', '.')
    expect(typed.stdout).toBe('')
    expect(typed.code).toBe(0)
  })
})
