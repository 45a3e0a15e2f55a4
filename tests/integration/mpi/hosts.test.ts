import { dirname } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startHosts, type TestHosts } from '../../hosts/index.js'
import { pythonFolders } from '../../hosts/python.js'
import { slack, until } from '../../support/gang.js'
import { leftOn } from '../../support/ssh-project.js'
import type { Case } from './flow.js'
import { forget, implementations, killProgram, killRank, MpiProject, type Outcome } from './support.js'

let hosts: TestHosts
let project: MpiProject

beforeAll(async () => {
  project = await MpiProject.make()
  const pythons = [...project.installed.values()].map(({ python }) => python)
  const folders = (await Promise.all(pythons.map(pythonFolders))).flat()
  const environments = dirname(dirname(dirname(pythons[0]!)))
  hosts = await startHosts({
    count: 4,
    show: [...new Set([...folders, environments, '/etc/alternatives', '/etc/openmpi'])],
    // Nothing of OpenSSH can be used from one host to another.
    hide: [process.execPath, '/usr/bin/ssh'],
  })
  // As Docker has it: an interface that is up, with the same address on every host.
  const bridge = 'ip link add docker0 type bridge && ip addr add 172.17.0.1/16 dev docker0 && ip link set docker0 up'
  await Promise.all(hosts.hosts.map((host) => host.must(['sh', '-c', bridge])))
}, 900_000)
afterAll(async () => {
  project?.remove()
  await hosts?.down()
})

const awkward = 'a;b,c"d\'e\nf=$HOME `g` \\h\ttab é %x'
/** These hosts share two cores: ranks that wait must let others run. */
const env = { OMPI_MCA_mpi_yield_when_idle: '1', MPIR_CVAR_NOLOCAL: '1', UCX_TLS: 'tcp,self' }
const behave = (words: string, more: Partial<Case['call']> = {}): Case => ({
  call: { program: `./behave ${words}`, timeout: 15_000 * slack, ...more, env: { ...env, ...more.env } },
})

const cases: Record<string, readonly Case[]> = {
  hello: [behave('hello'), behave('hello', { np: 3 })],
  abort: [behave('abort 5')],
  exit: [behave('exit 5')],
  late: [behave('late 5')],
  crash: [behave('segv 5')],
  killedRank: [{ ...behave('wait 5'), before: forget(2), meanwhile: { node: 2, command: killRank } }],
  killedDaemon: [
    {
      ...behave('wait 5'),
      before: forget(2),
      meanwhile: { node: 2, command: killProgram('^(orted|prted|hydra_pmi_prox)', 'with rank 5') },
    },
  ],
  killedLauncher: [
    {
      ...behave('wait 5'),
      meanwhile: { node: 0, command: killProgram('^(mpirun|mpiexec|prterun|orterun)', 'elsewhere') },
    },
  ],
  noProgram: [{ call: { program: './nothing' } }],
  onlyHere: [{ call: { program: './copy hello' }, before: { node: 0, command: 'cp behave copy' } }],
  noFolder: [
    { call: { program: 'hostname', cwd: '/tmp/of-node-1' }, before: { node: 1, command: 'mkdir /tmp/of-node-1' } },
  ],
  environment: [behave('env', { env: { AWKWARD: awkward } })],
  input: [behave('stdin', { stdin: 'x'.repeat(50_000) })],
  crowd: [behave('hello', { np: 11, oversubscribe: true })],
  late2: [behave('wait 5', { timeout: 2_000 })],
  after: [behave('hello')],
}

describe.each(implementations)('%s on four hosts without sshd between them', (name) => {
  const outcomes = new Map<string, readonly Outcome[]>()
  const of = (which: keyof typeof cases) => outcomes.get(which)![0]!

  beforeAll(async () => {
    const all = await project.calls(name, Object.values(cases), hosts)
    for (const [which, { length }] of Object.entries(cases)) outcomes.set(which, all.splice(0, length))
  }, 300_000 * slack)

  it('runs two jobs at once, each a world of its own over all hosts', () => {
    const [eight, three] = outcomes.get('hello')!
    expect(eight).toMatchObject({ np: 8 })
    expect(three).toMatchObject({ np: 3 })
    expect(eight!.ranks!.map(({ host }) => host)).toEqual([1, 1, 2, 2, 3, 3, 4, 4].map((number) => `host${number}`))
    const sum = (np: number) => (1_000_000 * np * (np - 1)) / 2 + np * 499_500
    for (const [outcome, np] of [
      [eight!, 8],
      [three!, 3],
    ] as const) {
      const lines = outcome.stdout!.trim().split('\n').sort()
      expect(lines).toEqual(Array.from({ length: np }, (_, rank) => `rank ${rank} of ${np}, sum ${sum(np)}`))
      expect(outcome.stderr!.match(/error of rank \d/g)).toHaveLength(np)
    }
  })

  it.each([
    ['abort', { exitCode: 7 }],
    ['exit', { exitCode: 3 }],
    ['late', { exitCode: 3 }],
    ['crash', { signal: 'SIGSEGV' }],
    ['killedRank', { signal: 'SIGKILL' }],
  ])('names rank, host and last lines: %s', (which, details) => {
    expect(of(which)).toMatchObject({ code: 'E_MPI_RANK', rank: 5, node: 2, host: 'host3', details })
    expect(of(which).details!.lastLines!.join('\n')).toContain('rank 5 is about to')
    expect(of(which).sinceFaultMs).toBeLessThan(10_000 * slack)
  })

  it('tells of a daemon, and of mpirun itself, that was killed', () => {
    expect(of('killedDaemon')).toMatchObject({
      code: 'E_MPI_DAEMON',
      node: 2,
      host: 'host3',
      details: { signal: 'SIGKILL' },
    })
    expect(of('killedLauncher')).toMatchObject({ code: 'E_MPI_LAUNCHER', node: 0, details: { signal: 'SIGKILL' } })
    for (const which of ['killedDaemon', 'killedLauncher']) expect(of(which).sinceFaultMs).toBeLessThan(10_000 * slack)
  })

  it('says before the launch what a member lacks', () => {
    expect(of('noProgram')).toMatchObject({ code: 'E_MPI_PROGRAM', message: expect.stringContaining("'./nothing'") })
    expect(of('onlyHere')).toMatchObject({ code: 'E_MPI_BROADCAST' })
    expect(of('onlyHere').message).toMatch(
      /node 1 \(host2\), node 2 \(host3\), node 3 \(host4\)\n.*broadcastFile\('.\/copy'\)/,
    )
    expect(of('noFolder')).toMatchObject({ code: 'E_MPI_CWD' })
    expect(of('noFolder').message).toContain('on node 0 (host1), node 2 (host3), node 3 (host4)')
  })

  it('brings every rank its environment, its folder, and rank 0 its input', () => {
    const hex = Buffer.from(awkward).toString('hex')
    const lines = of('environment').stdout!.trim().split('\n').sort()
    expect(lines).toHaveLength(8)
    for (const [rank, line] of lines.entries())
      expect(line).toMatch(new RegExp(`^rank ${rank} of node ${rank >> 1} in /.*/${name} has ${hex}$`))
    expect(of('input').stdout).toMatch(/^read 50000 bytes, /)
  })

  it('spreads more ranks than slots over all hosts, ends what takes too long, and goes on after all that', () => {
    expect(of('crowd').np).toBe(11)
    expect(new Set(of('crowd').ranks!.map(({ host }) => host)).size).toBe(4)
    expect(of('late2')).toMatchObject({ code: 'E_MPI_TIMEOUT', message: expect.stringContaining('5') })
    expect(of('after').np).toBe(8)
  })

  it('leaves no process, folder or shared memory on any host', async () => {
    expect(await leftOn(hosts)).toEqual([])
    for (const host of hosts.hosts) {
      const left = await host.must(['sh', '-c', 'ls /dev/shm; ls /tmp | grep -vE "^of-node|^node-|^v8-" || :'])
      expect(left.trim(), host.name).toBe('')
    }
  })
})

it(
  'a host that loses its link in the middle ends the gang, and its own ranks',
  async () => {
    const run = project.start('openmpi5', ['--cases', JSON.stringify([[behave('wait 5')]])], hosts)
    await until(() => /rank 5 is about to wait/.test(run.text()), 'the ranks', 60_000 * slack)
    await hosts.host('host3').cable('down')
    const { code, out } = await run.ended
    expect(code, out).not.toBe(0)
    expect(out).toMatch(/node 2 \(host3\)/)
    await expect.poll(() => leftOn(hosts), { timeout: 30_000 * slack, interval: 500 }).toEqual([])
    await hosts.heal()
  },
  120_000 * slack,
)
