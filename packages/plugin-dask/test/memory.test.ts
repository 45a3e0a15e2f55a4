import { expect, it } from 'vitest'
import { explain } from '../src/explain.js'
import { watchMemory } from '../src/memory.js'

const MB = 1_000_000
const worker = (at: number, memory: number, isPaused = false) => ({
  node: 1,
  at,
  memory: memory * MB,
  limit: 500 * MB,
  isPaused,
})
const entry = { node: 1, memberId: 'm1', host: 'b', addresses: [], slots: 1, gpus: [] }
const gang = { step: 'work', roster: { epoch: 1, control: 'm0', entries: [{ ...entry, node: 0, host: 'a' }, entry] } }
const ended = {
  kind: 'ended',
  starting: false,
  node: 1,
  host: 'b',
  nodes: [1],
  process: 'dask-node1',
  afterMs: 9000,
  quote: [],
} as const
const exit = { node: 1, exitCode: null, signal: 'SIGKILL', stdout: '', stderr: '', durationMs: 1 } as const

it('says once that a worker pauses, and ends it when two signs of life say that it is over its limit', () => {
  const memory = watchMemory()
  expect(memory.look([worker(1, 420, true)])).toMatchObject({
    lines: [expect.stringContaining('420 MB of the 500 MB')],
    over: [],
  })
  expect(memory.look([worker(2, 480, true)])).toEqual({ lines: [], over: [] })
  // The same sign of life once more.
  expect(memory.look([worker(2, 480, true)]).over).toEqual([])
  expect(memory.look([worker(3, 490, true)]).over).toMatchObject([{ node: 1 }])
  expect(memory.look([worker(4, 490, true)]).over).toEqual([])
  expect(explain(gang, { ...ended, exit }, memory)).toMatchObject({
    code: 'E_DASK_MEMORY',
    what: expect.stringContaining('it had 490 MB'),
  })
})

it('lets a worker be that was over its limit for a moment, or that has none', () => {
  const memory = watchMemory()
  for (const [at, size] of [480, 300, 480, 300].entries()) expect(memory.look([worker(at, size)]).over).toEqual([])
  for (const at of [5, 6, 7]) expect(memory.look([{ ...worker(at, 480), limit: 0 }]).over).toEqual([])
  expect(explain(gang, { ...ended, exit }, memory).what).toBe("Dask's worker on node 1 (b) was ended by SIGKILL")
})

it('blames the scheduler or the worker of the control by the process that is silent', () => {
  const silent = { ...ended, kind: 'silent', node: 0, stopped: '7 (python)' } as const
  const told = (process: string) => explain(gang, { ...silent, process }, watchMemory()).what
  expect(told('dask-head')).toMatch(/^Dask's scheduler on node 0 \(a\) .* its process 7 \(python\) is stopped/)
  expect(told('dask-node0')).toMatch(/^Dask's worker on node 0 \(a\)/)
})
