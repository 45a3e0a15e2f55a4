import type { TorchPlan } from '@gangflow/plugin-torchrun/ranks'
import { expect, it } from 'vitest'
import { deepspeedPlan, sharedBuffers } from '../src/plan.js'
import { checkCall, checkOptions } from '../src/settings.js'

const python = '/env/bin/python'
const rank = (localRank: number) => ({
  kind: 'rank' as const,
  name: `rank${2 + localRank}`,
  rank: 2 + localRank,
  localRank,
  argv: [python, '-u', 'train.py', '--lr', '0.1'],
  env: { RANK: String(2 + localRank) },
  cwd: '/flow',
})
const plan: TorchPlan = {
  launcher: 'direct',
  node: 1,
  worldSize: 4,
  localWorldSize: 2,
  firstRank: 2,
  masterAddr: '10.0.0.1',
  masterPort: '29500',
  processes: [rank(0), rank(1)],
}
const nodes = [{ gpus: [] }, { gpus: [] }]
const about = { nodes, sizes: [2, 2], config: '/tmp/1.json', path: '/usr/bin', timeoutMs: 90_000 }

it("starts the ranks as DeepSpeed's launcher would", () => {
  const [, second] = deepspeedPlan(plan, { ...about, call: { entrypoint: 'train.py' } }).processes
  const words = ['--local_rank=1', '--lr', '0.1', '--deepspeed_config', '/tmp/1.json']
  expect(second!.argv).toEqual([python, '-u', 'train.py', ...words])
  expect(second!.env).toEqual({
    RANK: '3',
    LOCAL_SIZE: '2',
    CROSS_RANK: '1',
    CROSS_SIZE: '2',
    PATH: '/env/bin:/usr/bin',
    DEEPSPEED_TIMEOUT: '2',
    GANGFLOW_DEEPSPEED_CONFIG: '/tmp/1.json',
  })
})

it('gives the script only what it is to have', () => {
  const call = { entrypoint: 'train.py', localRank: false, configArgument: '--deepspeed' }
  const [named] = deepspeedPlan(plan, { ...about, call }).processes
  expect(named!.argv.slice(3)).toEqual(['--lr', '0.1', '--deepspeed', '/tmp/1.json'])
  const [silent] = deepspeedPlan(plan, { ...about, call: { ...call, configArgument: false } }).processes
  expect(silent!.argv.slice(3)).toEqual(['--lr', '0.1'])
})

const below = {
  ...plan,
  launcher: 'torchrun' as const,
  processes: [
    ...[2, 3].map((one) => ({
      ...rank(one - 2),
      kind: 'relay' as const,
      argv: [python, 'relay.py', 'stdio', '/t', 'local'],
      env: {},
    })),
    {
      ...{ kind: 'torchrun' as const, name: 'torchrun', cwd: '/flow', env: { GLOO_SOCKET_IFNAME: 'eth0' } },
      argv: [python, '-X', 'dev', '-m', 'torch.distributed.run', '--nnodes', '2', 'train.py', '--lr', '0.1'],
    },
  ],
}
const infoOf = (argv: readonly string[]) =>
  JSON.parse(Buffer.from(argv.find((word) => word.startsWith('--world_info'))!.split('=')[1]!, 'base64url').toString())

it("starts DeepSpeed's launcher of a node, with a relay for each rank", () => {
  const call = { entrypoint: 'train.py', args: { lr: 0.1 }, deepspeedArgs: { bind_core_list: '0-3' }, localRank: false }
  const [relay, , launcher] = deepspeedPlan(below, { ...about, call }).processes
  expect(relay).toMatchObject({ localRank: 0, env: { TORCHELASTIC_ERROR_FILE: '/t/rank2.error.json' } })
  expect(relay!.argv.slice(-2)).toEqual(['/t', 'local0'])
  const { name, argv, env } = launcher!
  expect(name).toBe('deepspeed')
  expect(argv.slice(0, 6)).toEqual([python, '-X', 'dev', '-u', '-m', 'deepspeed.launcher.launch'])
  const options = [
    '--node_rank=1',
    '--master_addr=10.0.0.1',
    '--master_port=29500',
    '--no_local_rank',
    '--bind_core_list',
    '0-3',
  ]
  expect(argv.slice(7)).toEqual([...options, 'train.py', '--lr', '0.1', '--deepspeed_config', '/tmp/1.json'])
  expect(infoOf(argv)).toEqual({ node0: [0, 1], node1: [0, 1] })
  // Whatever gangflow itself runs below: rank 0 has the store.
  expect(env).toMatchObject({ TORCHELASTIC_USE_AGENT_STORE: 'False' })
  expect(env).toMatchObject({ GLOO_SOCKET_IFNAME: 'eth0', DEEPSPEED_TIMEOUT: '2', PATH: '/env/bin:/usr/bin' })
})

it('gives the launcher the devices that the gang gave, and counts local ranks as it does', () => {
  const call = { entrypoint: 'train.py' }
  const unequal = { nodes: [{ gpus: ['3'] }, { gpus: ['GPU-a', 'GPU-b'] }], sizes: [1, 2] }
  const [first, second, launcher] = deepspeedPlan({ ...below, firstRank: 1 }, { ...about, ...unequal, call }).processes
  expect(infoOf(launcher!.argv)).toEqual({ node0: ['3'], node1: ['GPU-a', 'GPU-b'] })
  expect([first!.localRank, second!.localRank]).toEqual([0, 1])
})

it.each([
  [['train2.py'], /deepspeedArgs is "train2.py"/],
  [['--quiet', 'x'], /deepspeedArgs is "x"/],
  [{ hostfile: 'hosts' }, /no --hostfile: the gang has its members/],
  [['--num-gpus=2'], /no --num-gpus=2: `nprocPerNode` says it/],
  [{ launcher: 'pdsh' }, /no --launcher: gangflow's agents start it/],
])('refuses deepspeedArgs %j', (deepspeedArgs, what) => {
  expect(() => checkCall({ entrypoint: 'train.py', deepspeedArgs })).toThrow(what)
})

it('knows the buffers that ranks of one member leave', () => {
  expect(sharedBuffers(plan, 7)).toEqual([])
  expect(sharedBuffers({ ...plan, worldSize: 2 }, 7)).toEqual([
    '/dev/shm/deepspeed_allreduce_buffer_7_10.0.0.1_29500_0',
    '/dev/shm/deepspeed_allreduce_buffer_7_10.0.0.1_29500_1',
  ])
})

it('refuses what is wrong before anything starts', () => {
  const refused = (code: string) => expect.objectContaining({ code })
  expect(() => checkOptions({ launcher: 'pdsh' } as never)).toThrow(refused('E_DEEPSPEED_OPTION'))
  expect(() => checkOptions({ ops: ['no such; op'] })).toThrow(refused('E_DEEPSPEED_OPTION'))
  expect(() => checkOptions({ nprocPerNode: 0 })).toThrow(/@deepspeed: nprocPerNode is 0/)
  for (const wrong of [
    { config: 7 },
    { configArgument: 'config' },
    { localRank: 1 },
    { env: { LOCAL_SIZE: '1' } },
    { launcher: 'pdsh' },
    { launcher: 'direct', deepspeedArgs: ['-q'] },
  ])
    expect(() => checkCall({ entrypoint: 'train.py', ...wrong } as never)).toThrow(refused('E_DEEPSPEED_OPTION'))
})
