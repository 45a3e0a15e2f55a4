import { kill } from 'node:process'
import { afterAll, describe, expect, it } from 'vitest'
import { removeTemporary, slack, train } from './support.js'

afterAll(removeTemporary)

describe('current.torch.run', () => {
  it('gives all members one result, a log for each rank, and its files as artifacts', async () => {
    const { result, run, left } = await train({ args: ['*:flood'], members: 2, nproc: 2 })
    expect(result.error).toBeUndefined()
    expect(left).toEqual([])
    const task = run.task('train')
    const nodes = await task.nodes()
    const results = nodes.map(({ artifacts }) => artifacts['result'])
    expect(results[1]).toEqual(results[0])
    expect(results[0]).toMatchObject({ launcher: 'direct', worldSize: 4 })
    for (const [index, { artifacts }] of nodes.entries()) {
      const files = artifacts['torchOutput'] as Record<string, Uint8Array>
      const made = Object.fromEntries(
        Object.entries(files).map(([path, bytes]) => [path, Buffer.from(bytes).toString()]),
      )
      const ranks = [2 * index, 2 * index + 1]
      expect(made).toEqual(Object.fromEntries(ranks.map((rank) => [`rank${rank}/made.txt`, `by rank ${rank}`])))
    }
    for (const rank of [0, 1, 2, 3]) {
      const lines: Record<string, string[]> = { stdout: [], stderr: [] }
      for await (const { stream, text } of task.logs({ process: `rank${rank}` })) lines[stream]!.push(text)
      const expected = (name: string) => Array.from({ length: 20_000 }, (_, index) => `${name} ${rank} ${index}`)
      expect(lines['stdout']!.slice(1)).toEqual(expected('out'))
      expect(lines['stderr']).toEqual(expected('err'))
    }
    const plans = await task.attempts()[0]!.plans()
    expect(plans.map(({ node, name }) => [node, name])).toEqual([
      [0, 'torch-1'],
      [1, 'torch-1'],
    ])
  })

  it('keeps 50 MB of one rank whole', async () => {
    const { result, run } = await train({ args: ['0:big', '*:nothing'], members: 2 })
    expect(result.error).toBeUndefined()
    let bytes = 0
    let last = ''
    for await (const { text } of run.task('train').logs({ process: 'rank0' })) {
      bytes += text.length + 1
      last = text
    }
    expect(bytes).toBeGreaterThan(49_000_000)
    expect(last).toMatch(/^line 000999 x{986}$/)
  })

  it('names the rank that raised an exception, with its traceback', async () => {
    const { verdict, result, left } = await train({ args: ['3:raise', '0:deaf'] })
    expect(result.status).toBe('failed')
    expect(verdict).toMatchObject({
      cause: 'user',
      code: 'E_TORCH_RANK',
      echoes: [],
      first: {
        node: 3,
        rank: 3,
        process: 'rank3',
        exitCode: 1,
        error: { message: 'ValueError: bad batch', stack: expect.stringMatching(/behave\.py", line \d+, in deep/) },
      },
    })
    expect(verdict!.summary).toContain('rank 3 on node 3')
    expect(verdict!.first!.lastLines!.at(-1)).toBe('ValueError: bad batch')
    expect(verdict!.stopped.map(({ process }) => process)).toEqual(expect.arrayContaining(['rank0', 'rank1', 'rank2']))
    expect(left).toEqual([])
  })

  it("gives that rank's last lines, whoever prints more meanwhile", async () => {
    // Two ranks a member: rank 3 is not the first of its node, and its node not the control.
    const args = ['3:raise', '*:chatter']
    const { verdict } = await train({ args, members: 2, nproc: 2 })
    expect(verdict!.first).toMatchObject({ node: 1, rank: 3, process: 'rank3' })
    expect(verdict!.first!.lastLines!.at(0)).toBe('Traceback (most recent call last):')
    expect(verdict!.first!.lastLines!.at(-1)).toBe('ValueError: bad batch')
  })

  it.each([
    ['exit7', { exitCode: 7, lastLines: expect.arrayContaining(['leaving']) }, 'user'],
    [
      'segfault',
      { signal: 'SIGSEGV', lastLines: expect.arrayContaining(['Fatal Python error: Segmentation fault']) },
      'user',
    ],
  ])('tells how a rank ended by itself: %s', async (verb, first, cause) => {
    const { verdict, left } = await train({ args: [`1:${verb}`], members: 3 })
    expect(verdict).toMatchObject({ cause, echoes: [], first: { node: 1, rank: 1, process: 'rank1', ...first } })
    expect(left).toEqual([])
  })

  it('ends all when one rank is killed, also those that ignore SIGTERM', async () => {
    let killedAt = 0
    const pids = new Map<string, number>()
    const { verdict, failedAt, left } = await train({
      args: ['0:deaf', '1:deaf', '3:deaf'],
      onLine({ text }) {
        const [, rank, pid] = /^rank (\d) has pid (\d+)$/.exec(text) ?? []
        if (rank) pids.set(rank, Number(pid))
        if (rank && pids.size === 4) {
          killedAt = performance.now()
          kill(pids.get('2')!, 'SIGKILL')
        }
      },
    })
    expect(verdict).toMatchObject({
      cause: 'infrastructure',
      echoes: [],
      first: { node: 2, rank: 2, process: 'rank2', signal: 'SIGKILL', pid: pids.get('2') },
    })
    expect(verdict!.first!.lastLines).toEqual([`rank 2 has pid ${pids.get('2')}`])
    // TERM within a second, KILL half a second later, 300 ms to settle.
    expect(failedAt - killedAt).toBeLessThan(2000 * slack)
    expect(left).toEqual([])
  })

  it.each([
    ['E_TORCH_SCRIPT', { script: 'absent.py' }, {}],
    ['E_TORCH_PYTHON', {}, { GANGFLOW_PYTHON: '/no/such/python' }],
    ['E_TORCH_START', { script: 'control-only.py', members: 2 }, {}],
    ['E_TORCH_AWAIT', { script: 'nobody-waits.py' }, {}],
  ])('refuses with %s and its fix', async (code, parameters, env) => {
    const { verdict } = await train({ members: 1, ...parameters, env })
    expect(verdict).toMatchObject({ code, fix: expect.any(String) })
  })
})
