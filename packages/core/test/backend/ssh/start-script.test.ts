import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { cpusScript } from '../../../src/backend/ssh/cpus-script.js'
import { sshFailure } from '../../../src/backend/ssh/failures.js'
import { HostSession } from '../../../src/backend/ssh/session.js'
import { sshArgv } from '../../../src/backend/ssh/ssh-argv.js'
import { startScript } from '../../../src/backend/ssh/start-script.js'
import type { RuntimeLayer } from '../../../src/compile/host-runtime/contract.js'
import { completeMark, presentCommand } from '../../../src/compile/host-runtime/present.js'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gangflow-script-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** What the script says to the orders on a host that has only these programs. */
function talk(programs: readonly string[], orders: string): string {
  const bin = join(folder, 'bin')
  mkdirSync(bin)
  for (const name of programs) {
    const path = ['/usr/bin', '/bin'].map((place) => join(place, name)).find(existsSync)
    if (path !== undefined) symlinkSync(path, join(bin, name))
  }
  const socket = join(folder, 'gf.sock')
  writeFileSync(socket, '')
  const script = join(folder, 'script')
  writeFileSync(script, startScript({ nonce: 'N', workdir: join(folder, 'a b'), socket }))
  const { stdout } = spawnSync('/bin/sh', [script], {
    input: orders,
    env: { PATH: bin, HOME: folder },
    encoding: 'utf8',
  })
  expect(existsSync(socket)).toBe(false)
  return stdout
}

const least = ['uname', 'id', 'ls', 'sed', 'sort', 'tr', 'head', 'env', 'od', 'mkdir', 'mktemp', 'rm', 'find']

describe('the script on a host', () => {
  it('knows the C library and a number of CPUs without getconf and nproc', () => {
    const said = talk(least, '')
    expect(said).toMatch(/^N libc (glibc|musl)$/m)
    expect(said).toMatch(/^N cpus 1$/m)
    expect(said).toMatch(/^N told$/m)
  })

  it.each([
    ['no quota', { 'cpu.max': 'max 100000' }, '0::/', 8],
    ['one and a half', { 'cpu.max': '150000 100000' }, '0::/', 2],
    ['a narrower one above', { 'a/b/cpu.max': '600000 100000', 'a/cpu.max': '300000 100000' }, '0::/a/b', 3],
    [
      'the first cgroups',
      { 'cpu/x/cpu.cfs_quota_us': '50000', 'cpu/x/cpu.cfs_period_us': '100000' },
      '4:cpu,acct:/x',
      1,
    ],
    ['none there', { 'cpu/cpu.cfs_quota_us': '-1', 'cpu/cpu.cfs_period_us': '100000' }, '4:cpu:/', 8],
  ])('tells the CPUs that its cgroups allow: %s', (_, files, own, cpus) => {
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(join(folder, 'groups', name, '..'), { recursive: true })
      writeFileSync(join(folder, 'groups', name), `${text}\n`)
    }
    writeFileSync(join(folder, 'own'), `9:memory:/m\n${own}\n`)
    const text = cpusScript
      .replace('nproc', 'echo 8')
      .replaceAll('/sys/fs/cgroup', join(folder, 'groups'))
      .replaceAll('/proc/self/cgroup', join(folder, 'own'))
    const { stdout, stderr } = spawnSync('sh', ['-uc', `${text}\necho "$cpus"`], { encoding: 'utf8' })
    expect([stdout, stderr]).toEqual([`${cpus}\n`, ''])
  })

  it('leaves neither its socket nor half a layer when the launcher goes', () => {
    const said = talk(least, 'receive\n')
    expect(said).toMatch(/^N into .*\/a b\/runtime\/\.new-/m)
    expect(readdirSync(join(folder, 'a b/runtime'))).toEqual([])
  })
})

describe('a session', () => {
  it('leaves the layer that another run has brought meanwhile as it is, and replaces one that is not whole', async () => {
    const signal = AbortSignal.timeout(30_000)
    const file = { path: 'agent', source: '/agent', size: 3, executable: false }
    const layer: RuntimeLayer = { name: 'core-1', bytes: 3, files: [file] }
    const runtime = join(folder, 'runtime')
    const present = presentCommand(runtime, layer)
    const begun = async () => {
      const session = new HostSession('a', ['/bin/sh', '-s'], { workdir: folder })
      await session.facts(signal)
      expect(await session.check(present, signal)).toBe(false)
      const into = await session.receive(signal)
      for (const name of ['agent', completeMark]) writeFileSync(join(into, name), 'one')
      return session
    }
    const sessions = [await begun(), await begun()]
    const agents: number[] = []
    for (const session of sessions) {
      await session.keep(layer.name, present, signal)
      expect(await session.check(present, signal)).toBe(true)
      agents.push(statSync(join(runtime, layer.name, 'agent')).ino)
    }
    expect(agents[1]).toBe(agents[0])
    expect(readdirSync(runtime)).toEqual([layer.name])

    writeFileSync(join(runtime, layer.name, 'agent'), '')
    const third = await begun()
    await third.keep(layer.name, present, signal)
    expect(await third.check(present, signal)).toBe(true)
    for (const session of [...sessions, third]) session.close()
  })

  it('that is closed before its script was read leaves no socket', async () => {
    const socket = join(folder, 'gf.sock')
    writeFileSync(socket, '')
    const session = new HostSession('a', ['/bin/sh', '-c', 'sleep 0.2; exec sh -s'], { socket })
    session.close()
    await once(session.child, 'close')
    expect(existsSync(socket)).toBe(false)
  })

  it('whose ssh does not end is ended', async () => {
    const session = new HostSession('a', ['/bin/sleep', '600'], {})
    session.close()
    expect(await once(session.child, 'close')).toEqual([null, 'SIGTERM'])
  })
})

describe('the person’s own SSH', () => {
  const way = { program: 'ssh', options: [], connectSeconds: 10 }

  it('may have a RemoteCommand for logging in', () => {
    expect(sshArgv({ host: 'a' }, way).join(' ')).toContain('-o RemoteCommand=none')
  })

  it('is quoted with what an account says that lets nobody in', () => {
    const { error } = sshFailure('a', '', 'exit code 1', 'This account is currently not available.')
    expect(error.what).toContain('This account is currently not available.')
  })
})
