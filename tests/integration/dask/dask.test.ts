import { copyFileSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Client } from '../../../packages/core/src/index.js'
import { engineEnvironment } from '../../../scripts/engine-env.mjs'
import { startHosts, type TestHosts } from '../../hosts/index.js'
import { pythonFolders } from '../../hosts/python.js'
import { processesOf, slack, until } from '../../support/gang.js'
import { leftOn, SshProject } from '../../support/ssh-project.js'

let python: string
let project: SshProject
let hosts: TestHosts

beforeAll(async () => {
  python = await engineEnvironment('dask')
  project = new SshProject({})
  for (const file of ['flow.ts', 'group_by.py', 'hang.py', 'memory.py', 'nodes.py'])
    copyFileSync(fileURLToPath(new URL(file, import.meta.url)), join(project.folder, file))
  hosts = await startHosts({ count: 2, hide: [process.execPath], show: await pythonFolders(python), shm: 64 })
}, 900_000)
afterAll(async () => {
  project?.remove()
  await hosts?.down()
})

const left = (folder: string) => readdirSync(folder).filter((name) => /^gf-dask-|^sem\.mp-/.test(name))

it(
  'tells of a worker that took too much memory and of one that was killed, and groups in the next attempt what none could hold',
  async () => {
    const frame = mkdtempSync(join(tmpdir(), 'gangflow-frame-'))
    const before = [...left('/tmp'), ...left('/dev/shm')]
    const words = ['--faults', 'memory,worker KILL 1', '--folder', join(frame, 'of-keys')]
    const { code, out } = await project.start(['run', 'flow.ts', ...words], { GANGFLOW_PYTHON: python }).ended
    rmSync(frame, { recursive: true, force: true })
    expect(code, out).toBe(0)
    expect(out).toMatch(/'dask-node1(?:-\d)?' on node 1 \(.+\) of 2.* was ended by SIGKILL .*Dask's worker on node 1/)
    expect(out).toMatch(/Dask's worker on node 1 takes no new tasks: it has \d+ MB of the 500 MB/)
    expect(out).toMatch(/Dask's worker on node 1 \(.+\) was ended: it had \d+ MB of the 500 MB/)
    const [run] = await new Client(project.store).runs('OnDask')
    const { said } = run!.artifacts['out'] as { said: string }
    const told = JSON.parse(said.trim().split('\n').at(-1)!) as Record<string, number>
    expect(told).toMatchObject({
      page: ['node0', 'node1'],
      nodes: [0, 1],
      n: (600_000 * 60 * 59) / 2,
      count: 60 * 600_000,
    })
    expect(told['over']).toBeGreaterThan(1)
    expect(told['mean']).toBeCloseTo(0.5, 2)
    expect(processesOf(project.folder)).toEqual([])
    expect([...left('/tmp'), ...left('/dev/shm')]).toEqual(before)
  },
  150_000 * slack,
)

const onHosts = (set: TestHosts) => {
  const named = join(project.folder, 'hosts')
  writeFileSync(named, set.names.map((host) => `${host} python=${python} slots=1\n`).join(''))
  return ['--backend', 'ssh', '--hosts-file', named, '--ssh-config', set.config]
}
const nothingLeft = async (set: TestHosts) => {
  await expect.poll(() => leftOn(set), { timeout: 30_000 * slack, interval: 500 }).toEqual([])
  for (const host of set.hosts) expect((await host.must(['ls', '/dev/shm'])).trim()).toBe('')
}

it(
  'tells of a worker and a scheduler that were stopped, of a scheduler that was killed and of a cut host, and leaves nothing there',
  async () => {
    const faults = 'worker STOP 0,scheduler STOP 0,scheduler KILL 0,hang'
    const run = project.start(['run', 'flow.ts', '--faults', faults, ...onHosts(hosts)])
    await until(() => run.text().includes('attempt 3 hangs'), 'the last client', 240_000 * slack)
    await hosts.host('host2').cable('down')
    const { code, out } = await run.ended
    expect(code, out).not.toBe(0)
    const stopped =
      /Dask's (\w+) on node 0 \(host1\) has not answered for ([\d.]+) s: its process \d+ \(.+\) is stopped/g
    const told = [...new Map([...out.matchAll(stopped)].map(([, who, seconds]) => [who, Number(seconds)]))]
    expect(
      told.map(([who]) => who),
      out,
    ).toEqual(['worker', 'scheduler'])
    for (const [, seconds] of told) expect(seconds).toBeLessThan(10 * slack)
    expect(out).toMatch(/Dask's scheduler on node 0 \(host1\) was ended by SIGKILL/)
    expect(out.split('attempt 3 hangs')[1]).toMatch(/node 1 \(host2\)/)
    await nothingLeft(hosts)
    await hosts.heal()
  },
  400_000 * slack,
)

it(
  'works on hosts with IPv6 addresses alone, where all that is open to others wants the certificate',
  async () => {
    const only = await startHosts({
      ...{ count: 2, network: 'ipv6', hide: [process.execPath], shm: 64 },
      show: await pythonFolders(python),
    })
    try {
      const { code, out } = await project.start(['run', 'flow.ts', '--least', ...onHosts(only)]).ended
      expect(code, out).toBe(0)
      const [run] = await new Client(project.store).runs('OnDask')
      const { said, plain } = run!.artifacts['out'] as { said: string; plain: Record<string, string> }
      expect(said.trim()).toBe('[0, 1]')
      // Scheduler and worker of the control, worker of the other.
      expect(Object.keys(plain).map((key) => key[0])).toEqual(['0', '0', '1'])
      for (const answer of Object.values(plain)) expect(['21', 'nothing']).toContain(answer)
      await nothingLeft(only)
    } finally {
      await only.down()
    }
  },
  200_000 * slack,
)
