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
const about = { numNodes: 2, config: '/tmp/1.json', path: '/usr/bin', timeoutMs: 90_000 }

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
  for (const wrong of [{ config: 7 }, { configArgument: 'config' }, { localRank: 1 }, { env: { LOCAL_SIZE: '1' } }])
    expect(() => checkCall({ entrypoint: 'train.py', ...wrong } as never)).toThrow(refused('E_DEEPSPEED_OPTION'))
})
