import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { type OpenHost, openHost } from '../../../packages/core/src/backend/ssh/host.js'
import { parseHostList } from '../../../packages/core/src/backend/ssh/hosts.js'
import { planSsh } from '../../../packages/core/src/backend/ssh/plan.js'
import type { SshWay } from '../../../packages/core/src/backend/ssh/ssh-argv.js'
import { startHosts, type TestHosts } from '../../hosts/index.js'
import { slack, until } from '../../support/gang.js'

const core = new URL('../../../packages/core', import.meta.url).pathname
let hosts: TestHosts
let folder: string

beforeAll(async () => {
  hosts = await startHosts({ count: 2, hide: [process.execPath] })
  folder = mkdtempSync(join(tmpdir(), 'gangflow-reach-'))
})
afterAll(async () => {
  await hosts?.down()
  rmSync(folder, { recursive: true, force: true })
})

const way = (over: Partial<SshWay> = {}): SshWay => ({
  program: 'ssh',
  config: hosts.config,
  options: [],
  connectSeconds: 5,
  ...over,
})

async function open(list: string, over: Partial<SshWay> = {}, limitMs = 30_000 * slack): Promise<OpenHost> {
  const specs = parseHostList(list)
  const request = {
    address: { flow: 'F', run: '1', step: 'fit', task: '1', attempt: 0 },
    step: { name: 'fit', plugins: [] } as never,
    size: specs.length,
    resources: {},
  }
  const [plan] = planSsh(request, specs, way(over)).hosts
  const host = await openHost(
    {
      plan: plan!,
      way: way(over),
      core,
      mark: 'F/1/fit/1/0',
      rendezvous: join(folder, 'rendezvous.sock'),
      leaseMs: 60_000,
      graceMs: 300,
    },
    AbortSignal.timeout(limitMs),
  )
  onTestFinished(() => host.close())
  return host
}

/** Lines of what runs and lies there of ours. */
const left = async (name: string) =>
  (
    await hosts
      .host(name)
      .must([
        'sh',
        '-c',
        'ps -eo pid,args | grep -E "gangflow-keeper|sleep 1234" | grep -v grep; ls -d /tmp/gf-* 2>/dev/null || :',
      ])
  ).trim()

describe('a host over SSH', () => {
  it('gets what an agent needs once, and starts processes that end with their channel', async () => {
    const first = await open('host1')
    expect(first.facts).toMatchObject({ os: 'linux', name: 'host1', uid: 1000, address: hosts.host('host1').address })
    const output: string[] = []
    const child = await first.keeper.spawn({
      name: 'probe',
      argv: [first.programs.node, '-e', 'console.log(process.version, process.env.HOME, process.cwd())'],
      env: first.facts.env,
      cwd: '/',
      spool: `${first.places.spool}/m0`,
    })
    child.onOutput(({ data }) => output.push(Buffer.from(data).toString()))
    expect(await child.exited).toMatchObject({ code: 0 })
    await until(() => output.join('') !== '', 'its output')
    expect(output.join('').trim()).toBe(`${process.version} /home/gf /`)
    await first.close()
    const layers = await hosts
      .host('host1')
      .must(['sh', '-c', 'cd /home/gf/.cache/gangflow/runtime && stat -c "%n %a %U %Y" *'])
    expect(layers.trim().split('\n')).toHaveLength(2)
    for (const line of layers.trim().split('\n')) expect(line).toMatch(/^(core|node)-[0-9a-f]{32} 700 gf /)
    const second = await open('host1')
    expect(second.programs).toEqual(first.programs)
    await second.close()
    expect(await left('host1')).toBe('')
  })

  it('is ended whole when its connection ends, also what daemonized', async () => {
    const host = await open('host2')
    await host.keeper.spawn({
      name: 'escape',
      argv: ['sh', '-c', 'setsid env -i sh -c "sleep 1234 & sleep 1234" & sleep 1234'],
      env: host.facts.env,
      cwd: '/',
      spool: `${host.places.spool}/m0`,
    })
    expect(await left('host2')).toContain('sleep 1234')
    host.keeper.pid > 0 && process.kill(host.keeper.pid, 'SIGKILL')
    await until(async () => (await left('host2')) === '', 'the host to be clean', 10_000 * slack)
  })

  it('carries the rendezvous of the launcher to a socket of the user alone', async () => {
    const path = join(folder, 'rendezvous.sock')
    const server = createServer((socket) => socket.end('from the launcher\n')).listen(path)
    onTestFinished(() => void server.close())
    const { rendezvous: socket, keeper, facts, places, programs } = await open('host1')
    const script = `require('net').connect(${JSON.stringify(socket)}).on('data', (d) => process.exitCode = String(d) === 'from the launcher\\n' ? 0 : 9)`
    const child = await keeper.spawn({
      name: 'dial',
      argv: [programs.node, '-e', script],
      env: facts.env,
      cwd: '/',
      spool: `${places.spool}/m0`,
    })
    expect(await child.exited).toMatchObject({ code: 0 })
    expect((await hosts.host('host1').must(['stat', '-c', '%a %U', socket])).trim()).toBe('600 gf')
  })

  it('refuses a runtime that was cut off, and sends it anew', async () => {
    const { programs, close } = await open('host1')
    await close()
    await hosts.host('host1').must(['truncate', '-s', '100', programs.agent])
    const again = await open('host1')
    const size = Number(await hosts.host('host1').must(['stat', '-c', '%s', programs.agent]))
    expect(size).toBeGreaterThan(100)
    await again.close()
  })
})

describe('a host that cannot be had is named with what to do', () => {
  const code = async (wanted: string, list: string, over: Partial<SshWay> = {}) => {
    const began = performance.now()
    await expect(open(list, over)).rejects.toMatchObject({
      code: wanted,
      host: expect.any(String),
      fix: expect.any(String),
    })
    return performance.now() - began
  }
  it('a name that nobody knows', async () => void (await code('E_SSH_NAME', 'no-such-host.invalid')))
  it('a port where nobody listens', async () => void (await code('E_SSH_REFUSED', 'host1:9')))
  it('a user whose keys are not ours', async () => void (await code('E_SSH_DENIED', 'nobody@host1')))
  it('a host key that is not known', async () => {
    const empty = join(folder, 'known')
    writeFileSync(empty, '')
    await code('E_SSH_HOST_KEY', 'host1', {
      options: [`UserKnownHostsFile=${empty}`, 'GlobalKnownHostsFile=/dev/null', 'StrictHostKeyChecking=yes'],
    })
  })
  it('a setting that ssh does not know', async () =>
    void (await code('E_SSH_CONFIG', 'host1', { options: ['NoSuchSetting=1'] })))
  it('an account that runs no commands, on which no socket stays', async () => {
    const host = hosts.host('host2')
    const before = await host.must(['cat', '/etc/passwd'])
    const shell = (to: string) => before.replace(/^(gf:.*):[^:]*$/m, `$1:${to}`)
    const write = (input: string) => host.must(['sh', '-c', 'cat > /etc/passwd'], { input })
    await write(shell('/usr/sbin/nologin'))
    onTestFinished(() => void write(before))
    await code('E_SSH_FAILED', 'host2')
    await until(async () => (await left('host2')) === '', 'the socket to be removed', 10_000 * slack)
  })
  it('an ssh that is not there', async () => void (await code('E_SSH_FAILED', 'host1', { program: '/nowhere/ssh' })))
  it('a folder that cannot be written', async () => {
    const specs = [{ host: 'host1', workdir: '/proc/nowhere' }]
    const [plan] = planSsh(
      { address: {} as never, step: { name: 'x' } as never, size: 1, resources: {} },
      specs,
      way(),
    ).hosts
    await expect(
      openHost(
        { plan: plan!, way: way(), core, mark: 'a', rendezvous: '/x', leaseMs: 1000, graceMs: 1 },
        AbortSignal.timeout(20_000 * slack),
      ),
    ).rejects.toMatchObject({ code: 'E_SSH_HOST_UNFIT', what: expect.stringContaining('/proc/nowhere') })
  })
})

it('twelve logins at once get through an sshd that takes two', async () => {
  const busy = await startHosts({ count: 1, maxStartups: '2:100:3' })
  onTestFinished(() => busy.down())
  const opened = await Promise.all(Array.from({ length: 12 }, () => open('host1', { config: busy.config })))
  expect(opened).toHaveLength(12)
  await Promise.all(opened.map((host) => host.close()))
})
