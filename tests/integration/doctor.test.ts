import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Finding } from '../../packages/core/src/backend/doctor/finding.js'
import { pythonWithTorch } from '../../scripts/python-env.mjs'
import { startHosts, type TestHost, type TestHosts } from '../hosts/index.js'
import { all, words } from '../hosts/processes.js'
import { pythonFolders } from '../hosts/python.js'
import { slack, sleep } from '../support/gang.js'

const root = new URL('../..', import.meta.url).pathname
const cli = join(root, 'packages/core/dist/cli.cjs')
let hosts: TestHosts
let folder: string
let python: string

beforeAll(async () => {
  python = await pythonWithTorch()
  hosts = await startHosts({ count: 3, show: await pythonFolders(python), hide: [process.execPath] })
  folder = mkdtempSync(join(tmpdir(), 'gangflow-doctor-'))
  mkdirSync(join(folder, 'node_modules'))
  symlinkSync(join(root, 'node_modules/@gangflow'), join(folder, 'node_modules/@gangflow'))
  const dependencies = { '@gangflow/core': '*', '@gangflow/plugin-torchrun': '*' }
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'p', type: 'module', dependencies }))
  // The third host has another version.
  const input = '#!/bin/sh\necho "torch 1.0, Python 3.12.1, 0 CUDA devices"\n'
  await hosts.host('host3').must(['sh', '-c', 'cat > /opt/python && chmod +x /opt/python'], { input })
}, 900_000)
afterEach(() => hosts.heal())
afterAll(async () => {
  await hosts?.down()
  rmSync(folder, { recursive: true, force: true })
})

interface Told {
  readonly code: number | null
  readonly ok: boolean
  readonly findings: readonly Finding[]
  readonly stdout: string
  readonly stderr: string
}

function start(args: readonly string[]): { child: ChildProcess; told: Promise<Told> } {
  const env = { ...process.env, GANGFLOW_PYTHON: undefined, NODE_EXTRA_CA_CERTS: undefined }
  const child = spawn(process.execPath, [cli, 'doctor', ...args], { cwd: folder, env })
  const told = new Promise<Told>((resolve) => {
    let [stdout, stderr] = ['', '']
    child.stdout.on('data', (chunk) => (stdout += chunk))
    child.stderr.on('data', (chunk) => (stderr += chunk))
    child.on('close', (code) => {
      const json = stdout.startsWith('{') ? (JSON.parse(stdout) as Told) : { ok: false, findings: [] }
      resolve({ ok: json.ok, findings: json.findings, code, stdout, stderr })
    })
  })
  return { child, told }
}

const examine = (list: string, ...more: string[]) =>
  start(['--hosts', list, '--ssh-config', hosts.config, '--json', ...more]).told

const about = ({ findings }: Told, check: string, host?: string) =>
  findings.filter((finding) => finding.check === check && (host === undefined || finding.host === host))
const troubles = ({ findings }: Told, check: string) =>
  about({ findings } as Told, check).filter(({ status }) => status === 'warn' || status === 'fail')

/** Waits until nothing of the kind runs on a host: what was started there ends with its connection. */
async function noneOf(host: TestHost, what: RegExp): Promise<void> {
  const running = () => host.must(['ps', 'ax', '-o', 'args'])
  await expect.poll(running, { timeout: 3_000 * slack, interval: 50 }).not.toMatch(what)
}

function hostsFile(): string {
  const path = join(folder, 'hosts')
  writeFileSync(path, `host1 python=${python}\nhost2 python=${python}\nhost3 python=/opt/python\n`)
  return path
}

describe('gangflow doctor', () => {
  it('looks at this machine', async () => {
    const told = await start(['--json']).told
    for (const check of ['node', 'keeper', 'esbuild', 'datastore', 'run directory', 'disk', 'limits'])
      expect(about(told, check).map(({ status }) => status)).not.toContain('fail')
    expect(about(told, 'keeper')[0]!.found).toMatch(/^\d+\.\d+\.\d+ \(/)
    expect(about(told, 'torchrun: torch')).toHaveLength(1)
  })

  it('says what the environment costs', async () => {
    const env = { ...process.env, NODE_OPTIONS: '--import=node:fs', XDG_RUNTIME_DIR: '/nowhere' }
    const child = spawn(process.execPath, [cli, 'doctor'], { cwd: folder, env })
    let text = ''
    for await (const chunk of child.stdout) text += chunk
    expect(text).toMatch(/NODE_OPTIONS +warn/)
    expect(text).toMatch(/warn NODE_OPTIONS\n {2}fix unset NODE_OPTIONS/)
  })

  it('finds good hosts good, and leaves no process there', async () => {
    const told = await start(['--hosts-file', hostsFile(), '--ssh-config', hosts.config, '--json']).told
    for (const check of ['ssh', 'system', 'node', 'own name', 'torchrun: torch'])
      expect(hosts.names.map((name) => about(told, check, name)[0]?.status)).toEqual(['ok', 'ok', 'ok'])
    expect(about(told, 'pairs')).toMatchObject([{ status: 'ok', found: expect.stringMatching(/^6 of 6 connections/) }])
    expect(hosts.names.map((name) => about(told, 'clock', name)[0]?.found)).toEqual(['as here', 'as here', 'as here'])
    expect(hosts.names.map((name) => about(told, 'launcher', name)[0]?.found)).toContain('reached directly')
    const differ = troubles(told, 'torchrun: torch').filter(({ host }) => host === undefined)
    expect(differ[0]!.found).toMatch(/torch \d.*\(host1, host2\); torch 1\.0.*\(host3\)/)
    for (const host of hosts.hosts) await noneOf(host, /probe\.cjs/)
  })

  it('names what is wrong with a host and between hosts, with the fix', async () => {
    const [one, two, three] = hosts.hosts as [TestHost, TestHost, TestHost]
    await hosts.partition(['host1'], ['host2'])
    await three.shiftClock(3600)
    await three.fillDisk(4096)
    await two.rename('host1')
    const told = await examine('host1,host2,host3,nohost')
    expect(told.code).toBe(3)
    expect(told.ok).toBe(false)
    const pairs = about(told, 'pairs').map(({ found }) => found)
    // The kernel says `no route` where it had to ask for the other's link address first, and nobody answered that.
    expect(pairs).toEqual([
      expect.stringMatching(/^4 of 6/),
      expect.stringMatching(new RegExp(`^host1 → host2 \\(${two.address}.*: no (?:answer|route)$`)),
      expect.stringMatching(new RegExp(`^host2 → host1 \\(${one.address}.*: no (?:answer|route)$`)),
    ])
    expect(about(told, 'clock', 'host3')[0]!.found).toMatch(/^36\d\d s ahead$/)
    expect(about(told, 'disk', 'host3')[0]).toMatchObject({ status: 'fail', fix: expect.stringMatching(/workdir=/) })
    expect(troubles(told, 'own name').map(({ found }) => found)).toContainEqual(
      expect.stringMatching(/^host1, host2 all/),
    )
    expect(about(told, 'ssh', 'nohost')[0]).toMatchObject({ status: 'fail', fix: expect.stringMatching(/name/) })
    expect(about(told, 'torchrun: torch', 'host1')[0]).toMatchObject({
      status: 'fail',
      fix: expect.stringMatching(/python=/),
    })
    await two.rename('host2')
    await three.freeDisk()
    await three.shiftClock(0)
  })

  it('gives each host its time, and names the one that does not answer', async () => {
    await hosts.host('host2').impair({ loss: 1 })
    const input = '#!/bin/sh\nexec sleep 1000\n'
    await hosts.host('host1').must(['sh', '-c', 'cat > /opt/slow && chmod +x /opt/slow'], { input })
    const file = join(folder, 'slow')
    writeFileSync(file, `host1 python=/opt/slow\nhost2\n`)
    const told = await start(['--hosts-file', file, '--ssh-config', hosts.config, '--json', '--timeout', '20s']).told
    const [gone] = about(told, 'ssh', 'host2')
    expect(gone).toMatchObject({ status: 'fail', found: expect.stringMatching(/reached|within/) })
    expect(about(told, 'ssh', 'host1')[0]!.status).toBe('ok')
    expect(about(told, 'torchrun: torch', 'host1')[0]!.found).toBe('not done within 20 s (last: checking it)')
    await noneOf(hosts.host('host1'), /sleep 1000|probe/)
  })

  it('stops on Ctrl-C, says what it knows, and leaves nothing running', async () => {
    await hosts.host('host2').impair({ loss: 1 })
    const { child, told } = start(['--hosts', 'host1,host2', '--ssh-config', hosts.config, '--json'])
    const ours = () =>
      all().filter(({ pid, zombie }) => !zombie && words(pid)[0] === 'ssh' && words(pid).includes(hosts.config))
    for (const end = performance.now() + 20_000 * slack; ours().length === 0 && performance.now() < end; )
      await sleep(20)
    expect(ours().length).toBeGreaterThan(0)
    const at = performance.now()
    child.kill('SIGINT')
    const { code, stdout } = await told
    expect(code).toBe(130)
    expect(JSON.parse(stdout)).toMatchObject({ ok: false, cancelled: true })
    expect(performance.now() - at).toBeLessThan(5_000 * slack)
    for (const end = performance.now() + 5_000 * slack; ours().length > 0 && performance.now() < end; ) await sleep(20)
    expect(ours()).toEqual([])
  })

  it('refuses hosts that it cannot read', async () => {
    const { code, stdout } = await examine('a b')
    expect(code).toBe(2)
    expect(stdout).toMatch(/E_SSH_HOSTS/)
  })
})
