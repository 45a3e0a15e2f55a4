import { afterAll, beforeAll, expect, it } from 'vitest'
import { engineEnvironment } from '../../../scripts/engine-env.mjs'
import { pythonWithTorch } from '../../../scripts/python-env.mjs'
import { startHosts, type TestHosts } from '../../hosts/index.js'
import { pythonFolders } from '../../hosts/python.js'
import { slack, until } from '../../support/gang.js'
import { leftOn, type SshProject } from '../../support/ssh-project.js'
import { rayProject, startRay } from './support.js'

let hosts: TestHosts
let project: SshProject
let python: string

beforeAll(async () => {
  python = await engineEnvironment('ray')
  const folders = (await Promise.all([python, await pythonWithTorch()].map(pythonFolders))).flat()
  // IPv6 alone: the local gang has the other.
  hosts = await startHosts({
    count: 2,
    network: 'ipv6',
    hide: [process.execPath],
    show: [...new Set(folders)],
    shm: 512,
  })
  project = rayProject()
}, 900_000)
afterAll(async () => {
  project?.remove()
  await hosts?.down()
})

const clean = async () => {
  await expect.poll(() => leftOn(hosts), { timeout: 30_000 * slack, interval: 500 }).toEqual([])
  for (const host of hosts.hosts) expect((await host.must(['ls', '/dev/shm'])).trim()).toBe('')
}

it(
  'a raylet that is stopped is lost within the silence that is allowed, and its log says so',
  async () => {
    const { code, out } = await startRay(project, python, ['fault.ts', '--kill', 'raylet', '--signal', 'STOP'], hosts)
      .ended
    expect(code, out).toBe(3)
    expect(out).toMatch(/Ray on node 1 \(host2\) has not answered for \d+(?:\.\d)? s: its raylet is stopped/)
    expect(Number(/not answered for (\d+(?:\.\d)?) s/.exec(out)![1])).toBeLessThan(10 * slack)
    await clean()
  },
  300_000 * slack,
)

it(
  'a host that loses its link ends its own part of the cluster, and the others end the driver',
  async () => {
    const run = startRay(project, python, ['fault.ts'], hosts)
    await until(() => run.text().includes('the driver hangs'), 'the driver', 120_000 * slack)
    await hosts.host('host2').cable('down')
    const { code, out } = await run.ended
    expect(code, out).not.toBe(0)
    expect(out).toMatch(/node 1 \(host2\)/)
    await clean()
    await hosts.heal()
  },
  300_000 * slack,
)
