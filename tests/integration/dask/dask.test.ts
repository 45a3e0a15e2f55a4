import { copyFileSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Client } from '../../../packages/core/src/index.js'
import { engineEnvironment } from '../../../scripts/engine-env.mjs'
import { startHosts, type TestHosts } from '../../hosts/index.js'
import { pythonFolders } from '../../hosts/python.js'
import { processesOf, slack } from '../../support/gang.js'
import { leftOn, SshProject } from '../../support/ssh-project.js'

let python: string
let project: SshProject
let hosts: TestHosts

beforeAll(async () => {
  python = await engineEnvironment('dask')
  project = new SshProject({})
  for (const file of ['flow.ts', 'group_by.py', 'hang.py'])
    copyFileSync(fileURLToPath(new URL(file, import.meta.url)), join(project.folder, file))
  hosts = await startHosts({ count: 2, hide: [process.execPath], show: await pythonFolders(python), shm: 64 })
}, 900_000)
afterAll(async () => {
  project?.remove()
  await hosts?.down()
})

const left = (folder: string) => readdirSync(folder).filter((name) => /^gf-dask-|^sem\.mp-/.test(name))

it(
  'tells of a worker that was killed, and groups in the next attempt what no worker could hold',
  async () => {
    const frame = mkdtempSync(join(tmpdir(), 'gangflow-frame-'))
    const before = [...left('/tmp'), ...left('/dev/shm')]
    const words = ['--kill', 'worker', '--folder', join(frame, 'of-keys')]
    const { code, out } = await project.start(['run', 'flow.ts', ...words], { GANGFLOW_PYTHON: python }).ended
    rmSync(frame, { recursive: true, force: true })
    expect(code, out).toBe(0)
    expect(out).toMatch(/'dask-node1' on node 1 \(.+\) of 2.* was ended by SIGKILL .*Dask's worker on node 1/)
    const [run] = await new Client(project.store).runs('OnDask')
    const { said, plain } = run!.artifacts['out'] as { said: string; plain: string }
    const told = JSON.parse(said.trim().split('\n').at(-1)!) as Record<string, number>
    expect(told).toMatchObject({ nodes: [0, 1], n: (600_000 * 60 * 59) / 2, count: 60 * 600_000 })
    expect(told['over']).toBeGreaterThan(1)
    expect(told['mean']).toBeCloseTo(0.5, 2)
    expect(['21', 'nothing']).toContain(plain)
    expect(processesOf(project.folder)).toEqual([])
    expect([...left('/tmp'), ...left('/dev/shm')]).toEqual(before)
  },
  150_000 * slack,
)

it(
  'tells of the scheduler that was killed, on two hosts, and leaves nothing there',
  async () => {
    const named = join(project.folder, 'hosts')
    rmSync(join(project.folder, 'hangs'), { force: true })
    writeFileSync(named, hosts.names.map((host) => `${host} python=${python} slots=1\n`).join(''))
    const there = ['--backend', 'ssh', '--hosts-file', named, '--ssh-config', hosts.config]
    const { code, out } = await project.start(['run', 'flow.ts', '--kill', 'scheduler', ...there]).ended
    expect(code, out).not.toBe(0)
    expect(out).toMatch(/Dask's scheduler on node 0 \(host1\) was ended by SIGKILL/)
    await expect.poll(() => leftOn(hosts), { timeout: 30_000 * slack, interval: 500 }).toEqual([])
    for (const host of hosts.hosts) expect((await host.must(['ls', '/dev/shm'])).trim()).toBe('')
  },
  150_000 * slack,
)
