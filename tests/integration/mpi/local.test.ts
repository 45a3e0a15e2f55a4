import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Client } from '../../../packages/core/src/index.js'
import { startHosts, type TestHosts } from '../../hosts/index.js'
import { pythonFolders } from '../../hosts/python.js'
import { slack } from '../../support/gang.js'
import { leftOn } from '../../support/ssh-project.js'
import type { Case } from './flow.js'
import { checkout, forget, implementations, killProgram, leftHere, MpiProject, type Outcome } from './support.js'

let project: MpiProject
beforeAll(async () => {
  project = await MpiProject.make()
}, 900_000)
afterAll(() => project?.remove())

const behave = (words: string, more: Partial<Case['call']> = {}): Case => ({
  call: { program: `./behave ${words}`, timeout: 15_000 * slack, ...more },
})
/** 100 MB in all, in lines long enough that this test does not mostly count lines. */
const floodLines = 100_000
const cases = {
  seed: { call: { args: ['-n', '8', '--allow-run-as-root'], program: 'python mpi_hello.py' } },
  futures: { call: { np: 5, program: 'python -m mpi4py.futures futures.py' } },
  apart: behave('hello', { np: 3, output: 'ranks' }),
  exit: behave('exit 5'),
  killed: {
    ...behave('wait 5'),
    before: forget(0),
    meanwhile: { node: 0, command: killProgram('^(mpirun|mpiexec|prterun|orterun)', 'with rank 5', true) },
  },
  foreign: { call: { program: '../OTHER/behave hello', timeout: 15_000 * slack } },
  short: { call: { program: 'true' } },
  // The one of `mpirun`, in whose log there is nothing else.
  flood: { ...behave(`flood ${floodLines / 8}`), launcher: 'run' },
} as const satisfies Record<string, Case>

describe.each(implementations)('%s on a local gang, as whoever runs the tests', (name) => {
  const outcomes = new Map<string, Outcome>()
  const of = (which: keyof typeof cases) => outcomes.get(which)!

  beforeAll(async () => {
    const other = name === 'mpich' ? 'openmpi5' : 'mpich'
    const list = JSON.parse(JSON.stringify(Object.values(cases)).replaceAll('OTHER', other)) as Case[]
    const all = await project.calls(
      name,
      list.map((one) => [one]),
    )
    for (const [index, which] of Object.keys(cases).entries()) outcomes.set(which, all[index]!)
  }, 120_000 * slack)

  it('runs the seed’s example unchanged: 4 members, 2 ranks each', () => {
    const { stdout, ranks } = of('seed')
    expect(stdout!.trim().split('\n').sort()).toEqual([
      'Cluster has 8 processes',
      ...Array.from({ length: 7 }, (_, rank) => `👷 Worker node ${rank + 1} received message: Main node says hi! 👋`),
    ])
    expect(ranks!.map(({ node }) => node)).toEqual([0, 0, 1, 1, 2, 2, 3, 3])
  })

  it('runs mpi4py.futures', () => {
    expect(of('futures')).toMatchObject({ np: 5, stdout: 'sum of squares 6930\n' })
  })

  it('takes the ranks’ output apart', () => {
    for (const { rank, stdout, stderr } of of('apart').ranks!) {
      expect(stdout).toBe(`rank ${rank} of 3, sum 4498500\n`)
      expect(stderr).toBe(`error of rank ${rank}\n`)
    }
  })

  it('names the rank that exited, and mpirun that was killed', () => {
    expect(of('exit')).toMatchObject({ code: 'E_MPI_RANK', rank: 5, node: 2, details: { exitCode: 3 } })
    expect(of('killed')).toMatchObject({ code: 'E_MPI_LAUNCHER', details: { signal: 'SIGKILL' } })
  })

  it('does not take a program of another MPI for a success', () => {
    expect(of('foreign').code).toMatch(/^E_MPI_(?:WORLD|RANK|LAUNCHER)$/)
    if (name === 'mpich')
      expect(of('foreign').message).toMatch(/another MPI \(.*openmpi5.*\) than mpiexec, which is MPICH/)
  })

  it('keeps 100 MB of output whole', async () => {
    expect(of('flood')).toMatchObject({ np: 8 })
    const [run] = await new Client(project.files.store).runs('Calls')
    // Launchers cut lines where their buffers end, and mix ranks there: every byte is kept all the same.
    const kept = { characters: 0, xs: 0 }
    for await (const { text } of run!.step('work').task().logs({ process: 'mpirun' })) {
      kept.characters += text.length
      kept.xs += text.replaceAll(/[^x]/g, '').length
    }
    const { length } = 'rank 00 line 00000000 '
    expect(kept).toEqual({ characters: floodLines * (length + 976), xs: floodLines * 976 })
  })

  it('runs what is no MPI program, and leaves nothing', async () => {
    expect(of('short')).toMatchObject({ np: 8 })
    expect(await leftHere()).toEqual([])
  })
})

describe('as another user than root, on a machine without sshd', () => {
  let hosts: TestHosts
  beforeAll(async () => {
    const pythons = [...project.installed.values()].map(({ python }) => python)
    const folders = (await Promise.all(pythons.map(pythonFolders))).flat()
    const ours = ['packages', 'node_modules', '.mpi'].map((name) => `${checkout}/${name}`)
    const show = [...new Set([...folders, ...ours, project.files.folder])]
    hosts = await startHosts({ count: 1, sshd: false, show, hide: ['/usr/bin/ssh'] })
  }, 60_000 * slack)
  afterAll(() => hosts?.down())

  it.each(implementations)(
    '%s',
    async (name) => {
      const some = [cases.seed, cases.exit, cases.killed].map((one) => [one])
      const [host] = hosts.hosts
      const [seed, exit, killed] = await project.callsAsUser(name, some, host!)
      expect(seed!.stdout).toContain('Cluster has 8 processes')
      expect(exit).toMatchObject({ code: 'E_MPI_RANK', rank: 5, node: 2, details: { exitCode: 3 } })
      expect(killed).toMatchObject({ code: 'E_MPI_LAUNCHER', details: { signal: 'SIGKILL' } })
      expect(await leftOn(hosts)).toEqual([])
      const left = await host!.must(['sh', '-c', 'ls /dev/shm /tmp | grep -E "^gf-|mpi|prte|sm_|vader|ucx|hydra" || :'])
      expect(left).toBe('')
    },
    120_000 * slack,
  )
})

it('fails the step with a verdict that names the rank, when nobody catches the error', async () => {
  const run = project.start('openmpi5', ['--rethrow', '--cases', JSON.stringify([[behave('exit 5')]])])
  const { code, out } = await run.ended
  expect(code, out).toBe(1)
  expect(out).toMatch(/rank 5 on node 2 \(.+\) of 4.* exit code 3/)
  expect(out).toContain('rank 5 is about to exit')
})

it.each(implementations)('runs one @mpi step of %s after the other, and again after a failed attempt', async (name) => {
  const { code, out } = await project.start(name, [], undefined, { file: 'twice.ts' }).ended
  expect(code, out).toBe(0)
  const [run] = await new Client(project.files.store).runs('Twice')
  const said = { attempt: 1, np: 2, nodes: [0, 1] }
  expect(run!.artifacts['all']).toEqual([said, said])
  expect(await leftHere()).toEqual([])
})
