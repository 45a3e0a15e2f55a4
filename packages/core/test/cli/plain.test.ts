import picocolors from 'picocolors'
import { describe, expect, it } from 'vitest'
import { exitCodeOf, placeOf, verdictLines } from '../../src/cli/failure.js'
import { plainLines } from '../../src/cli/view/plain.js'
import type { Verdict } from '../../src/errors/verdict.js'

const style = picocolors.createColors(false)
const id = { step: 'train', task: '1', attempt: 0 }
const verdict: Verdict = {
  version: 1,
  cause: 'user',
  summary: 'rank 3 on node 1 (host b) was killed by SIGKILL',
  fix: 'look at its log',
  first: { kind: 'process', node: 1, host: 'b', rank: 3, signal: 'SIGKILL', lastLines: ['step 1', 'step 2'] },
  echoes: [{ kind: 'process', node: 0, rank: 0, exitCode: 1 }],
  stopped: [{ kind: 'process', node: 0, rank: 1 }],
  endedAfterMs: 812,
  author: 'control',
}

describe('the plain view', () => {
  it('prefixes lines with step, task and node, and counts what it had to leave out', () => {
    const lines = plainLines(
      { at: 0, type: 'line', ...id, node: 2, process: 'rank5', stream: 'stdout', text: 'loss 0.1', skipped: 7 },
      style,
    )
    expect(lines[0]).toMatch(/train\/1:2:rank5 … 7 lines not shown/)
    expect(lines[1]).toMatch(/^\d\d:\d\d:\d\d\.\d{3} train\/1:2:rank5 │ loss 0\.1$/)
  })

  it('shows the first cause in full and the rest in a line each', () => {
    expect(verdictLines(verdict, style)).toEqual([
      'user rank 3 on node 1 (host b) was killed by SIGKILL',
      '  last lines of rank 3 (node 1, host b):',
      '  │ step 1',
      '  │ step 2',
      '  because of it failed: rank 0 (node 0)',
      '  stopped after 0.8 s: rank 1 (node 0)',
      '  fix look at its log',
    ])
  })

  it('says once what to do, though the error says it too', () => {
    const error = { name: 'GangflowError', message: 'no room\n  fix: look at its log' }
    const lines = verdictLines({ ...verdict, first: { ...verdict.first!, error } }, style)
    expect(lines.filter((line) => line.includes('look at its log'))).toEqual(['  fix look at its log'])
    expect(lines).toContain('  no room')
  })

  it('names a place as people do', () => {
    expect(placeOf({ kind: 'agent', memberId: 'm2', node: 2, host: 'c' })).toBe('m2 (node 2, host c)')
  })

  it('gives each cause its exit code', () => {
    const of = (cause: Verdict['cause']) => exitCodeOf({ code: 'E_X', verdict: { ...verdict, cause } })
    expect([of('user'), of('infrastructure'), of('timeout'), of('preempted'), of('cancelled')]).toEqual([
      1, 3, 4, 5, 130,
    ])
    expect(exitCodeOf({ code: 'E_USAGE' })).toBe(2)
  })
})
