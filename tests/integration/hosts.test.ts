import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, existsSync, mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { startHosts, type TestHosts } from '../hosts/index.js'
import { all, lives } from '../hosts/processes.js'
import { type Ran, run } from '../hosts/run.js'
import type { SetState } from '../hosts/state.js'
import { slack, sleep } from '../support/gang.js'

const root = new URL('../..', import.meta.url).pathname

/** What of a set is still on this machine. */
function left({ init, hosts, machine, folder }: SetState): string[] {
  return [
    ...[init, ...hosts.map((host) => host.init)].filter(lives).map(({ pid }) => `process ${pid}`),
    ...readdirSync('/sys/class/net').filter((name) => name.startsWith(machine.link)),
    ...(existsSync(folder) ? [folder] : []),
  ]
}

async function gone(state: SetState): Promise<void> {
  const deadline = performance.now() + 3_000 * slack
  while (left(state).length > 0 && performance.now() < deadline) await sleep(20)
  expect(left(state)).toEqual([])
}

/** A process that holds a set; its first line is the set's state. */
async function holder(): Promise<{ child: ChildProcess; state: SetState }> {
  const argv = ['--import', 'tsx', 'tests/hosts/cli.ts', 'up', '2', '--foreground', '--json']
  const child = spawn(process.execPath, argv, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] })
  const [line] = (await once(createInterface(child.stdout!), 'line')) as [string]
  return { child, state: JSON.parse(line) as SetState }
}

describe('test hosts', () => {
  let hosts: TestHosts
  beforeAll(async () => {
    hosts = await startHosts({ count: 4, show: [`${root}docs`], hide: [process.execPath] })
  })
  afterAll(() => hosts?.down())

  it('let the unprivileged user in from this machine and from every host to every host', async () => {
    const { names } = hosts
    for (const name of names) expect((await hosts.ssh(name, 'hostname; id -un')).stdout).toBe(`${name}\ngf\n`)
    const pairs = `for to in ${names.join(' ')}; do ssh $to hostname; done; ssh root@host1 true 2>&1; echo $?`
    const heard = await Promise.all(names.map(async (name) => (await hosts.ssh(name, pairs)).stdout))
    for (const out of heard) expect(out.trim().split('\n')).toEqual([...names, expect.stringMatching(/denied/), '255'])
  })

  it('have both kinds of addresses and know one another by name', async () => {
    const host = hosts.host('host2')
    const ask = 'getent ahostsv4 host3; getent ahostsv6 host3; getent hosts launcher; cat /etc/hostname'
    const out = await host.must(['sh', '-c', ask])
    for (const part of [hosts.host('host3').state.ipv4, hosts.host('host3').state.ipv6, 'launcher', 'host2\n'])
      expect(out).toContain(part)
    expect((await hosts.ssh('host1', `ssh ${hosts.host('host3').state.ipv6} hostname`)).stdout).toBe('host3\n')
  })

  it('share nothing writable, and see of this machine what was chosen', async () => {
    const [one, two] = hosts.hosts as [TestHosts['hosts'][0], TestHosts['hosts'][0]]
    for (const folder of ['/tmp', '/run', '/dev/shm', '/home/gf', '/var/tmp']) {
      await one.must(['touch', `${folder}/mine`])
      expect((await two.exec(['ls', `${folder}/mine`])).code).toBe(2)
      expect(existsSync(`${folder}/mine`)).toBe(false)
    }
    expect((await one.exec(['touch', '/usr/mine'])).stderr).toMatch(/Read-only/)
    expect((await one.must(['ls', root])).trim()).toBe('docs')
    expect((await one.exec(['node', '-v'])).code).not.toBe(0)
    expect((await one.must(['id', '-u'], { as: 'user' })).trim()).toBe('1000')
    expect(Number((await one.must(['sh', '-c', 'ls -d /proc/[0-9]* | wc -l'])).trim())).toBeLessThan(8)
  })

  it('stand beside other sets and have gone when they are taken down', async () => {
    const other = await startHosts({ count: 2, network: 'ipv6', user: 'someone' })
    expect(other.state.machine.link).not.toBe(hosts.state.machine.link)
    expect((await other.ssh('host2', 'id -un; ip -4 -o addr')).stdout).toMatch(/^someone\n1: lo [^\n]*\n$/)
    const inside = (pid: number) => all().filter(({ parent }) => parent === pid)
    expect(inside(other.state.init.pid).length).toBeGreaterThan(0)
    await other.down()
    expect(left(other.state)).toEqual([])
    expect((await hosts.ssh('host1', 'hostname')).stdout).toBe('host1\n')
  })

  it('say what is wrong with a wish', async () => {
    await expect(startHosts(0)).rejects.toThrow('ask for 1 to 200')
    await expect(startHosts({ count: 2, names: ['a', 'a'] })).rejects.toThrow('different names')
    await expect(startHosts({ count: 1, names: ['A_b'] })).rejects.toThrow('no name for a test host')
  })
})

describe('the end of who holds test hosts', () => {
  it('ends them, also by kill -9', async () => {
    const { child, state } = await holder()
    child.kill('SIGKILL')
    await gone(state)
  })

  it('ends them by Ctrl-C', async () => {
    const { child, state } = await holder()
    child.kill('SIGINT')
    const [code] = (await once(child, 'exit')) as [number]
    expect(code).toBe(0)
    expect(left(state)).toEqual([])
  })
})

/** Runs a shell script as root of a user namespace that means nothing outside of it, with a network of its own. */
async function inUserNamespace(script: string, env: NodeJS.ProcessEnv): Promise<Ran> {
  const holder = spawn('unshare', ['--user', 'sleep', '1000'], { stdio: 'ignore' })
  try {
    const own = readlinkSync('/proc/self/ns/user')
    while (readlinkSync(`/proc/${holder.pid}/ns/user`) === own) await sleep(5)
    for (const map of ['uid_map', 'gid_map']) writeFileSync(`/proc/${holder.pid}/${map}`, '0 100000 65536')
    const room = ['unshare', '--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc', 'sh', '-c', script]
    return await run(['nsenter', '-t', String(holder.pid), '--user', ...room], { cwd: root, env })
  } finally {
    holder.kill('SIGKILL')
  }
}

describe('a user who is not root', () => {
  it('is told what helps', async () => {
    const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups']
    const ended = await run([...nobody, process.execPath, '--import', 'tsx', 'tests/hosts/cli.ts', 'up', '1'], {
      cwd: root,
    })
    expect(ended.code).toBe(1)
    expect(ended.stderr).toMatch(/need root, or a user namespace .*\n {2}fix: .*room/)
    const room = await run([...nobody, process.execPath, '--import', 'tsx', 'tests/hosts/cli.ts', 'room', 'true'], {
      cwd: root,
    })
    expect(room.code).toBe(1)
    expect(room.stderr).toMatch(/fix: (?:apt-get install uidmap|usermod|sysctl)/)
  })

  it('has hosts as root of a user namespace, with faults', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'gangflow-room-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    chownSync(folder, 100_000, 100_000)
    const hosts = `"${process.execPath}" --import tsx tests/hosts/cli.ts`
    const script = `ip link set lo up; ${hosts} up 2 >&2 && ${hosts} exec host1 'id -un; ssh host2 hostname' &&
      ${hosts} fault host2 drop in && ! ${hosts} exec host1 'timeout 1 ssh host2 true' && ${hosts} down`
    const { stdout, stderr } = await inUserNamespace(script, { ...process.env, TMPDIR: folder })
    expect(stderr).toMatch(/^gf-hosts-/)
    expect(stdout).toMatch(/^gf\nhost2\nhost2: drop in\ngf-hosts-\w+ is gone\n$/)
    expect(readdirSync(folder).filter((name) => name.startsWith('gf-hosts'))).toEqual([])
  })
})
