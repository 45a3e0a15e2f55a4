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
  project = await MpiProject.make([...implementations, 'intel'])
  hosts = await startHosts({
    count: 4,
    ...(await shown()),
    // Nothing of OpenSSH runs there, or can be used from one host to another.
    sshd: false,
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

/** The installations. */
async function shown(): Promise<{ show: string[] }> {
  const pythons = [...project.installed.values()].map(({ python }) => python)
  const folders = (await Promise.all(pythons.map(pythonFolders))).flat()
  return { show: [...new Set([...folders, dirname(dirname(dirname(pythons[0]!)))])] }
}

const awkward = 'a;b,c"d\'e\nf=$HOME `g` \\h\ttab é %x'
/** These hosts share two cores: ranks that wait must let others run. */
const env = { OMPI_MCA_mpi_yield_when_idle: '1', MPIR_CVAR_NOLOCAL: '1', UCX_TLS: 'tcp,self' }
const behave = (words: string, more: Partial<Case['call']> = {}): Case => ({
  call: { program: `./behave ${words}`, timeout: 15_000 * slack, ...more, env: { ...env, ...more.env } },
})

/** Daemons start one another, in a chain: what hundreds of hosts would do. */
const inTree = {
  openmpi4: ['--mca', 'plm_rsh_no_tree_spawn', '0', '--mca', 'routed_radix', '1'],
  openmpi5: ['--prtemca', 'plm_ssh_no_tree_spawn', '0', '--prtemca', 'routed_radix', '1'],
}
const killDaemon = { node: 2, command: killProgram('^(orted|prted|hydra_pmi_prox)', 'with rank 5') }
const tree = (args: readonly string[]): Record<string, readonly Case[]> => ({
  tree: [
    {
      call: {
        program: ['sh', '-c', 'echo "$(pgrep -cx shim) on $GANGFLOW_NODE" >&2; exec ./behave hello'],
        args,
        env,
        timeout: 15_000 * slack,
      },
    },
  ],
  killedInTree: [{ ...behave('wait 5', { args }), before: forget(2), meanwhile: killDaemon }],
})

const cases: Record<string, readonly Case[]> = {
  hello: [behave('hello'), behave('hello', { np: 3 })],
  abort: [behave('abort 5')],
  exit: [behave('exit 5')],
  late: [behave('late 5')],
  crash: [behave('segv 5')],
  killedRank: [{ ...behave('wait 5'), before: forget(2), meanwhile: { node: 2, command: killRank } }],
  killedDaemon: [{ ...behave('wait 5'), before: forget(2), meanwhile: killDaemon }],
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
  tooMany: [behave('hello', { np: 11 })],
  crowd: [behave('hello', { np: 11, oversubscribe: true })],
  late2: [behave('wait 5', { timeout: 2_000 })],
  after: [behave('hello')],
}

/** Of what a failed job leaves, whoever ran it. */
const leavings = `ps -eo args= | grep -E 'gf-mpi-|behave|orted|prted|hydra' | grep -v grep
ls /dev/shm; ls /tmp | grep -vE '^of-node|^node-|^v8-' || :`

async function nothingIsLeft(on: TestHosts): Promise<void> {
  expect(await leftOn(on)).toEqual([])
  for (const host of on.hosts) expect((await host.must(['sh', '-c', leavings])).trim(), host.name).toBe('')
}

describe.each(implementations)('%s on four hosts without any sshd', (name) => {
  const outcomes = new Map<string, readonly Outcome[]>()
  const of = (which: string) => outcomes.get(which)![0]!
  const every = { ...cases, ...(name === 'mpich' ? {} : tree(inTree[name])) }

  beforeAll(async () => {
    const all = await project.calls(name, Object.values(every), hosts)
    for (const [which, { length }] of Object.entries(every)) outcomes.set(which, all.splice(0, length))
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

  it('refuses more ranks than slots unless told, then spreads them over all hosts, ends what takes too long, and goes on after all that', () => {
    expect(of('tooMany')).toMatchObject({ code: 'E_MPI_SLOTS' })
    expect(of('tooMany').message).toMatch(/gang has 8 slots: 2 on node 0 \(host1\),.*\n.*oversubscribe: true/)
    expect(of('crowd').np).toBe(11)
    expect(new Set(of('crowd').ranks!.map(({ host }) => host)).size).toBe(4)
    expect(of('late2')).toMatchObject({ code: 'E_MPI_TIMEOUT', message: expect.stringContaining('5') })
    expect(of('after').np).toBe(8)
  })

  // Hydra has no tree.
  if (name !== 'mpich')
    it('lets daemons start one another, and tells of one of those', () => {
      const { stderr, np } = of('tree')
      expect(np).toBe(8)
      // The first host's goes to the second, and so on.
      for (const node of [0, 1, 2]) expect(stderr).toMatch(new RegExp(`^[1-9] on ${node}$`, 'm'))
      expect(stderr).toMatch(/^0 on 3$/m)
      // PRRTE ends the daemons between at once: the nearest of them is all that is seen from here.
      const host = name === 'openmpi4' ? 'host3' : expect.stringMatching(/^host[23]$/)
      expect(of('killedInTree')).toMatchObject({ code: 'E_MPI_DAEMON', host })
    })

  it('does as much for root', async () => {
    const asRoot = [cases['hello']!.slice(0, 1), cases['exit']!, cases['killedDaemon']!]
    const [hello, exit, daemon] = await project.calls(name, asRoot, hosts, 'root')
    expect(hello).toMatchObject({ np: 8 })
    expect(exit).toMatchObject({ code: 'E_MPI_RANK', rank: 5, host: 'host3', details: { exitCode: 3 } })
    expect(daemon).toMatchObject({ code: 'E_MPI_DAEMON', host: 'host3' })
  })

  it('leaves no process, folder or shared memory on any host', () => nothingIsLeft(hosts))
})

it(
  'Intel MPI, whose launcher is a Hydra too, does the same',
  async () => {
    const asked = ['hello', 'exit', 'killedDaemon', 'after']
    const all = await project.calls(
      'intel',
      asked.map((which) => cases[which]!.slice(0, 1)),
      hosts,
    )
    const [hello, exit, daemon, after] = all
    expect(hello).toMatchObject({ np: 8, implementation: expect.stringMatching(/^Intel MPI 20/) })
    // Its launcher has been seen to end by a signal of its own at once, on a busy machine.
    expect(exit!.code).toMatch(/^E_MPI_(?:RANK|LAUNCHER)$/)
    expect(daemon).toMatchObject({ code: 'E_MPI_DAEMON', node: 2, details: { signal: 'SIGKILL' } })
    expect(after).toMatchObject({ np: 8 })
    await nothingIsLeft(hosts)
  },
  120_000 * slack,
)

describe('a host that loses its link in the middle', () => {
  // Over the network from here on: who is entered past it would hear of the end even so.
  beforeAll(() => Promise.all(hosts.hosts.map((host) => host.must(['/usr/sbin/sshd']))))

  it(
    'ends the gang, and its own ranks, with each implementation',
    async () => {
      const words = ['--cases', JSON.stringify([[behave('wait 5')]])]
      const runs = implementations.map((name) => project.start(name, words, hosts, { overSsh: true }))
      const wait = (text: string) => /rank 5 is about to wait/.test(text)
      await until(() => runs.every((run) => wait(run.text())), 'the ranks', 120_000 * slack)
      await hosts.host('host3').cable('down')
      for (const run of runs) {
        const { code, out } = await run.ended
        expect(code, out).not.toBe(0)
        expect(out).toMatch(/node 2 \(host3\)/)
      }
      await expect.poll(() => nothingIsLeft(hosts), { timeout: 30_000 * slack, interval: 500 }).toBeUndefined()
      await hosts.heal()
    },
    180_000 * slack,
  )
})

describe('on hosts that have IPv6 alone', () => {
  let six: TestHosts
  beforeAll(async () => {
    const { show } = await shown()
    six = await startHosts({ count: 4, network: 'ipv6', sshd: false, show, hide: ['/usr/bin/ssh'] })
  }, 60_000 * slack)
  afterAll(() => six?.down())

  it('Open MPI runs, and MPICH, whose launcher cannot, is refused by name', async () => {
    const all = await Promise.all(implementations.map((name) => project.calls(name, [[behave('hello')]], six)))
    const [four, five, mpich] = all.map(([hello]) => hello!)
    expect([four, five]).toMatchObject([{ np: 8 }, { np: 8 }])
    expect(mpich).toMatchObject({ code: 'E_MPI_MEMBER', node: 0 })
    expect(mpich!.message).toMatch(/MPICH 5.* speaks IPv4 only.*node 3 \(host4\)\n.*Open MPI/)
  })
})
