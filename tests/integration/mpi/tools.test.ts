import { createHash } from 'node:crypto'
import { cpSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Client } from '../../../packages/core/src/index.js'
import { startHosts, type TestHosts } from '../../hosts/index.js'
import { pythonFolders } from '../../hosts/python.js'
import { MpiProject } from './support.js'

const examples = new URL('../../../examples/mpi-hello', import.meta.url).pathname
let project: MpiProject
let hosts: TestHosts
beforeAll(async () => {
  project = await MpiProject.make()
  // The examples as they are, beside the flows of the tests.
  for (const name of project.installed.keys()) {
    cpSync(examples, join(project.files.folder, name), {
      recursive: true,
      filter: (path) => !/(?:build|node_modules|package\.json)$/.test(path),
    })
    cpSync(new URL('tools.ts', import.meta.url).pathname, join(project.files.folder, name, 'tools.ts'))
  }
  const { python } = project.installed.get('mpich')!
  const show = [...(await pythonFolders(python)), dirname(dirname(dirname(python)))]
  hosts = await startHosts({
    count: 4,
    show: [...new Set(show)],
    sshd: false,
    hide: ['/usr/bin/ssh', '/etc/alternatives'],
  })
}, 900_000)
afterAll(async () => {
  project?.remove()
  await hosts?.down()
})

type Outcomes = Record<string, Record<string, unknown> & { code: string; what: string; fix: string }>

async function run(
  name: 'openmpi4' | 'openmpi5' | 'mpich',
  file: string,
  flow: string,
  on?: TestHosts,
  words: readonly string[] = [],
): Promise<{ out: string; artifacts: Record<string, unknown> }> {
  const { code, out } = await project.start(name, words, on, { file }).ended
  expect(code, out).toBe(0)
  const [latest] = await new Client(project.files.store).runs(flow)
  return { out, artifacts: latest!.artifacts }
}

describe('the examples', () => {
  it('say hello, compute pi, and draw all pairs, here', async () => {
    const hello = await run('openmpi5', 'hello.ts', 'MpiHello')
    expect(hello.out).toContain('Cluster has 8 processes')
    expect(hello.out.match(/👷 Worker node \d received message: Main node says hi! 👋/g)).toHaveLength(7)
    const { artifacts } = await run('openmpi5', 'pi.ts', 'MpiPi')
    expect(Math.abs((artifacts['pi'] as number) - Math.PI)).toBeLessThan(1e-10)
    const pairs = await run('openmpi5', 'pairs.ts', 'MpiPairs')
    expect(pairs.artifacts['pairs']).toHaveLength(6)
    expect(pairs.out).toContain('above the diagonal: latency, below: bandwidth')
    expect(pairs.out.match(/[░▒▓█] +\d+ MB\/s/g)).toHaveLength(6)
  })

  it('compile on the control and run what was broadcast, on four hosts', async () => {
    const { artifacts } = await run('mpich', 'pi.ts', 'MpiPi', hosts, ['--env', 'MPICH_CC=gcc'])
    expect(Math.abs((artifacts['pi'] as number) - Math.PI)).toBeLessThan(1e-10)
  })
})

describe('current.mpi.cc and broadcastFile', () => {
  const sum = (bytes: string | Buffer) => createHash('sha256').update(bytes).digest('hex')
  const big = `644 9000000\n${sum(Buffer.alloc(9_000_000, 'gang'))}  -\n`
  const tool = `751 15\n${sum('#!/bin/sh\ntrue\n')}  -\n`

  it.each(['openmpi4', 'mpich'] as const)(
    'compile with %s, leave alone what members share, and name what is wrong',
    async (name) => {
      const { artifacts } = await run(name, 'tools.ts', 'Tools')
      const of = artifacts['outcomes'] as Outcomes
      expect(of['wrong']).toMatchObject({ code: 'E_MPI_COMPILE', what: expect.stringContaining('MPI_COMM_NOWHERE') })
      expect(of['right']).toMatchObject({ out: expect.stringMatching(/\/made\/right$/) })
      expect(of['words']).toMatchObject({ out: expect.stringMatching(/\/made\/words$/) })
      expect(of['ran']).toMatchObject({ np: 1, exitCode: 0 })
      // The wheels have none; Debian's calls gfortran, which need not be there.
      if (name === 'mpich')
        expect(of['fortran']).toMatchObject({ code: 'E_MPI_COMPILER', fix: expect.stringContaining('wheels') })
      expect(of['unknown']!.code).toBe('E_MPI_OPTION')
      expect(of['big']).toMatchObject({ path: 'made/big', bytes: 9_000_000, copied: [], shared: [1, 2, 3] })
      expect(of).toMatchObject({ sameFile: true, bigs: [big], tools: [tool] })
      expect(of['taken']).toMatchObject({ code: 'E_MPI_OPTION', fix: expect.stringContaining('directory') })
      expect(of['folder']!.code).toBe('E_MPI_OPTION')
      rmSync(join(project.files.folder, name, 'made'), { recursive: true })
    },
  )

  it('copy to the disks of hosts, with content and mode', async () => {
    const { artifacts } = await run('openmpi5', 'tools.ts', 'Tools', hosts)
    const of = artifacts['outcomes'] as Outcomes
    // Without /etc/alternatives, `cc` leads nowhere.
    expect(of['right']).toMatchObject({ code: 'E_MPI_COMPILER', fix: expect.stringContaining('apt-get install gcc') })
    expect(of['big']).toMatchObject({ bytes: 9_000_000, copied: [1, 2, 3], shared: [] })
    expect(of['tool']).toMatchObject({ path: 'put/there/tool', copied: [1, 2, 3] })
    expect(of).toMatchObject({ bigs: [big], tools: [tool] })
  })
})

describe('gangflow doctor', () => {
  interface Found {
    readonly check: string
    readonly host?: string
    readonly status: string
    readonly found: string
    readonly fix?: string
  }
  const examine = async (flow: string, ...words: string[]) => {
    const { out } = await project.files.start(['doctor', flow, ...words, '--json'], hosts.env).ended
    const { findings } = JSON.parse(out.slice(out.indexOf('{'))) as { findings: Found[] }
    return findings.filter(({ check }) => check.startsWith('mpi: mpi'))
  }

  it('says which MPI is where, that it starts processes, and who has none', async () => {
    const flow = (options: string) => `import { FlowSpec, step } from '@gangflow/core'
import { mpi } from '@gangflow/plugin-mpi'
export default class Some extends FlowSpec {
  @step start() { this.next(this.work, { numParallel: 2 }) }
  @mpi(${options}) @step work() { this.next(this.join) }
  @step join() { this.next(this.end) }
  @step end() {}
}
`
    const homes = [...project.installed].map(([name, { home }]) => [name, home] as const)
    const dependencies = { '@gangflow/core': '*', '@gangflow/plugin-mpi': '*' }
    const described = JSON.stringify({ name: 'project', type: 'module', dependencies })
    const named = Object.fromEntries(homes.map(([name, home]) => [`${name}.ts`, flow(`{ home: '${home}' }`)]))
    project.files.write({ 'package.json': described, ...named, 'plain.ts': flow('') })
    // Debian's mpirun is one of the alternatives that these hosts have not.
    for (const [name, home] of homes.filter(([name]) => name !== 'openmpi4')) {
      const all = await examine(`${name}.ts`, '--hosts', 'host1,host2,host3', '--ssh-config', hosts.config)
      const good = all.filter(({ check }) => check === 'mpi: mpi')
      expect(good.length).toBeGreaterThanOrEqual(3)
      for (const { status, found } of good)
        expect({ status, found }).toEqual({
          status: 'ok',
          found: expect.stringMatching(`^(Open MPI|MPICH) .* in ${home}/bin$`),
        })
      expect(all.filter(({ check }) => check === 'mpi: mpi pairs')).toEqual([
        { check: 'mpi: mpi pairs', status: 'ok', found: '3 of 3: one process each, in one world' },
      ])
    }
    const plain = await examine('plain.ts', '--hosts', 'host1', '--ssh-config', hosts.config)
    expect(plain.find(({ host }) => host === 'host1')).toMatchObject({
      status: 'fail',
      found: 'there is no mpirun on PATH',
      fix: expect.stringContaining('apt-get install openmpi-bin'),
    })
  })
})
