import type { StepDescription } from '@gangflow/core/backend'
import { expect, it } from 'vitest'
import { planRelayed, refuseArrays } from '../src/relayed-plan.js'

const step = (over: Partial<StepDescription> = {}): StepDescription => ({
  name: 'train',
  location: { file: '/home/ann/flow.ts', line: 3 },
  shape: '',
  transition: { kind: 'linear', target: 'end' },
  join: false,
  from: ['start'],
  resources: { cpu: 8 },
  environment: {},
  plugins: [],
  ...over,
})
const address = { flow: 'Train', run: '1763', step: 'train', task: '2', attempt: 0 }

it('a relayed gang is one srun that asks for its nodes, with nothing but the length of its script in argv', () => {
  const settings = { partition: 'gpu', time: '4h' }
  const { argv, script, ownJob } = planRelayed({ address, size: 2, step: step(), resources: { cpu: 8 } }, settings)
  expect(argv.join(' ')).toBe(
    'srun --nodes=2 --ntasks=2 --ntasks-per-node=1 --kill-on-bad-exit=0 --wait=0 --cpu-bind=none --mpi=none --export=ALL --chdir=/ ' +
      '--job-name=Train.train --comment=gangflow Train/1763 --cpus-per-task=8 --time=240 --partition=gpu ' +
      `sh -c eval "$(head -c "$0")" ${Buffer.byteLength(script)}`,
  )
  expect(ownJob).toBe(true)
})

it('within a job of the person it takes the nodes that are there, and no more', () => {
  const request = { address, size: 2, step: step(), resources: {} }
  const { argv, ownJob } = planRelayed(request, { partition: 'gpu' }, ['n1', 'n2', 'n3'])
  expect(argv).toContain('--overlap')
  expect(argv.join(' ')).not.toMatch(/partition|job-name/)
  expect(ownJob).toBe(false)
  expect(() => planRelayed(request, {}, ['n1'])).toThrow(/asks for 2 members, and this job has 1 node\b/)
})

it('a foreach is refused by name', () => {
  const each = step({ name: 'split', transition: { kind: 'foreach', artifact: 'items', target: 'each' } as never })
  expect(() => refuseArrays([step(), each])).toThrow(
    expect.objectContaining({ code: 'E_SLURM_NOT_SHARED', step: 'split' }),
  )
  expect(() => refuseArrays([step()])).not.toThrow()
})
