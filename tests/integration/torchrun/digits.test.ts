import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { Client, type RunEvent, run } from '@gangflow/core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { pythonWithTorch } from '../../../scripts/python-env.mjs'
import { removeTemporary, temporary, train } from './support.js'

let python: string
beforeAll(async () => {
  python = await pythonWithTorch()
}, 900_000)
afterAll(removeTemporary)

describe('examples/torch-digits', () => {
  it('trains on four members, and names at least 95 % of the held-out digits rightly', async () => {
    const datastore = temporary()
    const file = new URL('../../../examples/torch-digits/flow.ts', import.meta.url)
    const handle = run(file, { datastore, env: { GANGFLOW_PYTHON: python } })
    const lines: string[] = []
    for await (const event of handle.events as AsyncIterable<RunEvent>)
      if (event.type === 'line') lines.push(event.text)
    const result = await handle.result
    expect(result.error).toBeUndefined()
    expect(lines.filter((line) => /^accuracy 0\.9\d$/.test(line))).toHaveLength(1)

    const { artifacts } = new Client(datastore).run(`TorchDigits/${result.run}`)
    expect(artifacts['accuracy']).toBeGreaterThanOrEqual(0.95)
    expect(artifacts['metrics']).toMatchObject({ worldSize: 4, rows: 1437 })
    // The saved model is what torch itself saves.
    const load = 'import io, sys, torch; print(*torch.load(io.BytesIO(sys.stdin.buffer.read())))'
    const names = execFileSync(python, ['-c', load], { input: artifacts['model'] as Uint8Array, encoding: 'utf8' })
    expect(names.trim()).toBe('0.weight 0.bias 2.weight 2.bias')
  }, 300_000)
})

describe('launcher prefork on a real gang', () => {
  it('has a log and an exit code for each rank, and blames the rank, not the parent', async () => {
    const pids = new Map<string, number>()
    const { verdict, run, left } = await train({
      args: ['2:raise-when-asked', '*:deaf'],
      launcher: 'prefork',
      members: 2,
      nproc: 2,
      env: { GANGFLOW_PYTHON: python },
      onLine({ text }) {
        const [, rank, pid] = /^rank (\d) has pid (\d+)$/.exec(text) ?? []
        if (rank && pids.set(rank, Number(pid)).size === 4) process.kill(pids.get('2')!, 'SIGUSR1')
      },
    })
    expect(verdict).toMatchObject({
      code: 'E_TORCH_RANK',
      echoes: [],
      first: { node: 1, rank: 2, process: 'rank2', exitCode: 1, error: { message: 'ValueError: bad batch' } },
    })
    expect(left).toEqual([])
    for (const rank of [0, 1, 2, 3]) {
      const lines: string[] = []
      for await (const { text } of run.task('train').logs({ process: `rank${rank}` })) lines.push(text)
      expect(lines[0]).toMatch(new RegExp(`^rank ${rank} has pid \\d+$`))
    }
  }, 180_000)

  it('says that the parent was killed, when it was, and leaves no rank', async () => {
    const pids: number[] = []
    const { verdict, left } = await train({
      args: ['*:deaf'],
      launcher: 'prefork',
      members: 1,
      nproc: 2,
      env: { GANGFLOW_PYTHON: python },
      onLine({ text }) {
        const pid = /^rank \d has pid (\d+)$/.exec(text)?.[1]
        if (!pid || pids.push(Number(pid)) < 2) return
        const parent = /^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]
        process.kill(Number(parent), 'SIGKILL')
      },
    })
    expect(verdict).toMatchObject({
      cause: 'infrastructure',
      first: { process: 'prefork', signal: 'SIGKILL', node: 0 },
    })
    expect(left).toEqual([])
    expect(pids.filter((pid) => existsSync(`/proc/${pid}`))).toEqual([])
  }, 180_000)
})
