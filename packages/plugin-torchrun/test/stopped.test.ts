import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { afterEach, expect, it } from 'vitest'
import { stoppedRank } from '../src/stopped.js'

const children: ChildProcess[] = []
const over = new AbortController()
afterEach(() => {
  over.abort()
  for (const child of children.splice(0)) child.kill('SIGKILL')
})

const sleeping = async (env: Record<string, string>) => {
  const child = spawn('sleep', ['600'], { env: { PATH: process.env['PATH'], ...env }, stdio: 'ignore' })
  children.push(child)
  await once(child, 'spawn')
  return child
}
const marks = { GANGFLOW_TORCH_RANK: 'timeout=1' }

it('names the rank that a signal has stopped, and neither one that went on nor what is no rank', async () => {
  const seen = stoppedRank({ launcher: 'direct' }, over.signal, process.pid)
  const other = await sleeping({ RANK: '0' })
  const goesOn = await sleeping({ ...marks, RANK: '1' })
  for (const child of [other, goesOn]) child.kill('SIGSTOP')
  setTimeout(() => goesOn.kill('SIGCONT'), 1_500)
  const rank = await sleeping({ ...marks, RANK: '2' })
  rank.kill('SIGSTOP')
  expect(await seen).toEqual({
    process: 'rank2',
    rank: 2,
    exitCode: null,
    signal: null,
    stopped: `${rank.pid} (sleep)`,
    lastLines: [],
  })
}, 120_000)
