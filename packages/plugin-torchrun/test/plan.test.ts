import { describe, expect, it } from 'vitest'
import type { TorchRunOptions, TorchrunOptions } from '../src/options.js'
import { type PlanInput, planTorch } from '../src/plan.js'
import { settle } from '../src/settings.js'

const plan = (
  node: number,
  call: Partial<TorchRunOptions> = {},
  options: TorchrunOptions = {},
  more: Partial<PlanInput> & { gpus?: readonly (readonly string[])[] } = {},
) =>
  planTorch({
    settings: settle(options, { entrypoint: 'train.py', ...call }),
    nodes: (more.gpus ?? [[], []]).map((gpus, index) => ({ node: index, host: `h${index}`, gpus })),
    node,
    masterAddr: '10.0.0.1',
    masterPort: '23456',
    runId: 'train-1-0-1-1',
    restarts: 0,
    temp: '/t/1.0',
    output: '/t/out',
    flowDir: '/flow',
    python: ['/usr/bin/python3'],
    tools: '/gf/py',
    preforkDir: '/t/prefork',
    env: {},
    platform: 'linux',
    ...more,
  })
/** The environments without what is the same in all tests. */
const envOf = (planned: ReturnType<typeof plan>, index: number) => planned.processes[index]!.env

describe('planTorch', () => {
  it('tells ranks how often their gang was formed anew', () => {
    expect(envOf(plan(0, {}, {}, { restarts: 2 }), 0)).toMatchObject({ TORCHELASTIC_RESTART_COUNT: '2' })
  })

  it('starts ranks directly, with all that torchrun would have set', () => {
    expect(plan(1, { args: { lr: 0.1, name: '' }, nprocPerNode: 2, env: { A: 'b c' } })).toEqual({
      launcher: 'direct',
      node: 1,
      worldSize: 4,
      localWorldSize: 2,
      firstRank: 2,
      masterAddr: '10.0.0.1',
      masterPort: '23456',
      processes: [2, 3].map((rank) => ({
        kind: 'rank',
        name: `rank${rank}`,
        rank,
        localRank: rank - 2,
        argv: ['/usr/bin/python3', '-u', 'train.py', '--lr', '0.1', '--name', ''],
        cwd: '/flow',
        env: {
          A: 'b c',
          GANGFLOW_OUTPUT_DIR: `/t/out/rank${rank}`,
          GANGFLOW_TORCH_RANK: 'timeout=1800',
          GROUP_RANK: '1',
          GROUP_WORLD_SIZE: '2',
          LOCAL_RANK: String(rank - 2),
          LOCAL_WORLD_SIZE: '2',
          MASTER_ADDR: '10.0.0.1',
          MASTER_PORT: '23456',
          OMP_NUM_THREADS: '1',
          PYTHONPATH: '/gf/py/hook',
          RANK: String(rank),
          ROLE_NAME: 'default',
          ROLE_RANK: String(rank),
          ROLE_WORLD_SIZE: '4',
          TORCHELASTIC_ERROR_FILE: `/t/1.0/rank${rank}.error.json`,
          TORCHELASTIC_MAX_RESTARTS: '0',
          TORCHELASTIC_RESTART_COUNT: '0',
          TORCHELASTIC_RUN_ID: 'train-1-0-1-1',
          TORCHELASTIC_SIGNALS_TO_HANDLE: 'SIGTERM,SIGINT,SIGHUP,SIGQUIT',
          TORCHELASTIC_USE_AGENT_STORE: 'False',
          TORCH_NCCL_ASYNC_ERROR_HANDLING: '1',
          WORLD_SIZE: '4',
        },
      })),
    })
  })

  it('starts torchrun with node rank, rendezvous, world size and deadlines, and a relay for each rank', () => {
    const planned = plan(
      1,
      { launcher: 'torchrun', nprocPerNode: 2, args: ['x y'], torchrunArgs: { 'max-restarts': 0, rdzv_conf: 'a=b' } },
      { startTimeout: '90s' },
    )
    expect(planned.processes.map(({ kind, name, argv }) => [kind, name, ...argv])).toEqual([
      ['relay', 'rank2', '/usr/bin/python3', '-I', '-S', '/gf/py/relay.py', 'stdio', '/t/1.0', 'local0'],
      ['relay', 'rank3', '/usr/bin/python3', '-I', '-S', '/gf/py/relay.py', 'stdio', '/t/1.0', 'local1'],
      [
        ['torchrun', 'torchrun', '/usr/bin/python3', '-m', 'torch.distributed.run', '--nnodes', '2'],
        ['--nproc-per-node', '2', '--rdzv-backend', 'static', '--node-rank', '1', '--master-addr', '10.0.0.1'],
        ['--master-port', '23456', '--rdzv-id', 'train-1-0-1-1', '--rdzv-conf', 'timeout=90,a=b'],
        ['--log-dir', '/t/1.0/torchrun', '--max-restarts', '0', 'train.py', 'x y'],
      ].flat(),
    ])
    expect(envOf(planned, 2)).toEqual({
      GANGFLOW_OUTPUT_DIR: '/t/out',
      GANGFLOW_TORCH_RANK: 'timeout=1800\nrelay=/t/1.0\noutput=/t/out',
      OMP_NUM_THREADS: '1',
      PYTHONPATH: '/gf/py/hook',
    })
  })

  it('leaves torchrun no options of the job that gangflow may itself run in', () => {
    const env = { PET_STANDALONE: '1', PET_MAX_RESTARTS: '3', PET_MONITOR_INTERVAL: '1', PET_NNODES: '8' }
    const call = { launcher: 'torchrun', env: { PET_ROLE: 'mine' } } as const
    const { PYTHONPATH, GANGFLOW_TORCH_RANK, GANGFLOW_OUTPUT_DIR, ...pet } = plan(0, call, {}, { env }).processes.at(
      -1,
    )!.env
    expect(pet).toEqual({ PET_STANDALONE: '0', PET_MAX_RESTARTS: '0', PET_ROLE: 'mine' })
  })

  it('meets by c10d when torchrun is told so', () => {
    const { argv } = plan(0, { torchrunArgs: ['--rdzv-backend=c10d'] }).processes.at(-1)!
    expect(argv.slice(3, -1)).toEqual(
      [
        ['--nnodes', '2', '--nproc-per-node', '1', '--rdzv-backend', 'c10d', '--rdzv-endpoint', '10.0.0.1:23456'],
        ['--rdzv-id', 'train-1-0-1-1', '--rdzv-conf', 'join_timeout=600,timeout=600,is_host=true'],
        ['--log-dir', '/t/1.0/torchrun'],
      ].flat(),
    )
  })

  it('asks the prefork parent for each rank, with the same environment as a direct one', () => {
    const forked = plan(0, { launcher: 'prefork', args: ['--a'] })
    const direct = plan(0, { args: ['--a'] })
    expect(forked.processes[0]).toEqual({
      ...direct.processes[0],
      argv: [
        ['/usr/bin/python3', '-I', '-S', '/gf/py/relay.py', 'fork', '/t/prefork'],
        ['/usr/bin/python3', '-u', '--', 'train.py', '--a'],
      ].flat(),
    })
  })

  it('runs modules, and interpreters with options, in a folder', () => {
    const more = { python: ['/p/python', '-X', 'dev'] }
    const direct = plan(0, { entrypoint: 'pkg.train', module: true, args: ['a'], cwd: 'sub' }, {}, more)
    expect(direct.processes[0]).toMatchObject({
      argv: ['/p/python', '-X', 'dev', '-u', '-m', 'pkg.train', 'a'],
      cwd: '/flow/sub',
    })
    const torchrun = plan(0, { entrypoint: 'pkg.train', module: true, launcher: 'torchrun' }, {}, more)
    expect(torchrun.processes.at(-1)!.argv.slice(-2)).toEqual(['--module', 'pkg.train'])
  })

  it("counts 'auto' from the assigned GPUs, which may differ by node", () => {
    const gpus = [['4', '5', '6'], ['GPU-1'], []]
    const planned = gpus.map((_, node) => plan(node, {}, {}, { gpus }))
    expect(planned.map((p) => [p.worldSize, p.firstRank, p.localWorldSize])).toEqual([
      [5, 0, 3],
      [5, 3, 1],
      [5, 4, 1],
    ])
    expect(planned.map((p) => envOf(p, 0)['CUDA_VISIBLE_DEVICES'])).toEqual(['4,5,6', 'GPU-1', undefined])
    expect(envOf(plan(0, { env: { CUDA_VISIBLE_DEVICES: '7' } }, {}, { gpus }), 0)['CUDA_VISIBLE_DEVICES']).toBe('7')
  })

  it('leaves OMP_NUM_THREADS alone for one rank a node, or when it is set', () => {
    expect(envOf(plan(0), 0)['OMP_NUM_THREADS']).toBeUndefined()
    expect(
      envOf(plan(0, { nprocPerNode: 2 }, {}, { env: { OMP_NUM_THREADS: '3' } }), 0)['OMP_NUM_THREADS'],
    ).toBeUndefined()
    expect(envOf(plan(0, { nprocPerNode: 2, env: { OMP_NUM_THREADS: '4' } }), 0)['OMP_NUM_THREADS']).toBe('4')
  })

  it("keeps a local gang on the loopback, and the person's PYTHONPATH", () => {
    const env = envOf(plan(0, {}, {}, { masterAddr: '127.0.0.1', env: { PYTHONPATH: '/mine' } }), 0)
    expect(env).toMatchObject({ GLOO_SOCKET_IFNAME: 'lo', TP_SOCKET_IFNAME: 'lo', PYTHONPATH: '/gf/py/hook:/mine' })
    expect(env['NCCL_SOCKET_IFNAME']).toBe('=lo')
    const own = plan(0, { env: { GLOO_SOCKET_IFNAME: 'eth0' } }, {}, { masterAddr: '127.0.0.1' })
    expect(envOf(own, 0)['GLOO_SOCKET_IFNAME']).toBe('eth0')
  })

  it('keeps frameworks to the interface of the network that the members reach each other by', () => {
    const nodes = [
      { node: 0, host: 'a', gpus: [], interface: 'eth1', addresses: ['fd00::1'] },
      { node: 1, host: 'b', gpus: [], interface: 'ib0', addresses: ['fd00::2'] },
    ]
    const about = { nodes, masterAddr: 'fd00::1' }
    expect(envOf(plan(1, {}, {}, about), 0)).toMatchObject({
      MASTER_ADDR: 'fd00::1',
      GLOO_SOCKET_IFNAME: 'ib0',
      TP_SOCKET_IFNAME: 'ib0',
      NCCL_SOCKET_IFNAME: '=ib0',
      NCCL_SOCKET_FAMILY: 'AF_INET6',
    })
    const { argv } = plan(1, { torchrunArgs: ['--rdzv-backend=c10d'] }, {}, about).processes.at(-1)!
    expect(argv.join(' ')).toContain('--rdzv-endpoint [fd00::1]:23456 --local-addr fd00::2')
    expect(envOf(plan(0, { env: { NCCL_SOCKET_IFNAME: 'bond0' } }, {}, about), 0)['NCCL_SOCKET_IFNAME']).toBe('bond0')
  })
})
