import { copyFileSync, readdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Client } from '../../../packages/core/src/index.js'
import { engineEnvironment } from '../../../scripts/engine-env.mjs'
import { pythonWithTorch } from '../../../scripts/python-env.mjs'
import { startHosts, type TestHosts } from '../../hosts/index.js'
import { pythonFolders } from '../../hosts/python.js'
import { processesOf, slack, until } from '../../support/gang.js'
import { leftOn, SshProject } from '../../support/ssh-project.js'

let python: string
let project: SshProject
let env: Record<string, string>
let hosts: TestHosts | undefined

beforeAll(async () => {
  python = await engineEnvironment('deepspeed')
  project = new SshProject({})
  const example = '../../../examples/deepspeed-transformer/train.py'
  for (const file of ['flow.ts', 'fail.py', example])
    copyFileSync(fileURLToPath(new URL(file, import.meta.url)), join(project.folder, file.split('/').at(-1)!))
  env = { GANGFLOW_PYTHON: python, TORCH_EXTENSIONS_DIR: join(dirname(dirname(python)), 'extensions') }
}, 900_000)
afterAll(async () => {
  project?.remove()
  await hosts?.down()
})

const buffers = () => readdirSync('/dev/shm').filter((name) => name.startsWith('deepspeed_'))
const trained = async () => {
  const [run] = await new Client(project.store).runs('OnDeepSpeed')
  const [first] = run!.artifacts['results'] as { first: number; last: number }[]
  expect(first).toMatchObject({ world: 2, stage: 1, steps: 30 })
  expect(first!.last).toBeLessThan(first!.first * 0.7)
}

const nothingLeft = async (set: TestHosts) => {
  await expect.poll(() => leftOn(set), { timeout: 30_000 * slack, interval: 500 }).toEqual([])
  for (const host of set.hosts) expect((await host.must(['ls', '/dev/shm'])).trim()).toBe('')
}

it(
  'trains with ZeRO stage 1 on two members of this machine',
  async () => {
    const { code, out } = await project.start(['run', 'flow.ts'], env).ended
    expect(code, out).toBe(0)
    await trained()
    expect(out).toContain('deepspeed_shm_comm_op built successfully')
  },
  300_000 * slack,
)

it(
  "tells of a rank that was killed and of one that raised, also below DeepSpeed's launcher, and of that; leaves neither process nor buffer",
  async () => {
    const before = buffers()
    const faults = 'kill direct,raise deepspeed,kill deepspeed,launcher deepspeed'
    const words = ['run', 'flow.ts', '--members', '1', '--nproc', '2', '--faults', faults]
    const { code, out } = await project.start(words, env).ended
    expect(code, out).not.toBe(0)
    expect(out.match(/buffers 2, places 2 0 1, words \['--local_rank=0', '--fault'\]/g), out).toHaveLength(4)
    expect(out.match(/process 'rank1' on node 0 .*SIGKILL|rank 1 on node 0 .*SIGKILL/g)!.length, out).toBeGreaterThan(1)
    expect(out).toMatch(/rank 1 on node 0 .*ValueError: bad batch/)
    expect(out).toMatch(/'deepspeed' on node 0 .*SIGKILL/)
    expect(processesOf(project.folder)).toEqual([])
    expect(buffers()).toEqual(before)
  },
  300_000 * slack,
)

it(
  "trains on two hosts that have no compiler, by DeepSpeed's launcher, and leaves nothing there",
  async () => {
    const folders = (await Promise.all([python, await pythonWithTorch()].map(pythonFolders))).flat()
    hosts = await startHosts({ count: 2, hide: [process.execPath], show: [...new Set(folders)], shm: 512 })
    const named = join(project.folder, 'hosts')
    writeFileSync(named, hosts.names.map((host) => `${host} python=${python} slots=1\n`).join(''))
    const there = ['--backend', 'ssh', '--hosts-file', named, '--ssh-config', hosts.config]
    const by = ['--launcher', 'deepspeed']
    const { code, out } = await project.start(['run', 'flow.ts', '--cxx', 'none', ...by, ...there]).ended
    expect(code, out).toBe(0)
    await trained()
    expect(out).toMatch(/deepspeed │.*WORLD INFO DICT: .'node0': .0., 'node1': .0../)
    expect(out).toContain('deepspeed_shm_comm is not compiled: there is no none')
    expect(out).not.toContain('built successfully')
    await nothingLeft(hosts)
    const hangs = ['--cxx', 'none', '--faults', 'hang deepspeed']
    const run = project.start(['run', 'flow.ts', ...hangs, ...there], { ON_DEEPSPEED_RETRIES: '0' })
    await until(() => run.text().includes('rank 1 hangs'), 'the ranks', 120_000 * slack)
    await hosts.host('host2').cable('down')
    const cut = await run.ended
    expect(cut.out).toMatch(/failed.*\n.*host2/)
    await hosts.heal()
    await nothingLeft(hosts)
  },
  300_000 * slack,
)
