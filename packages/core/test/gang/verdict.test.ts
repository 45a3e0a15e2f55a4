import { describe, expect, it } from 'vitest'
import type { Placed } from '../../src/gang/judge.js'
import { composeVerdict } from '../../src/gang/verdict.js'

const address = { flow: 'Fit', run: '1700', step: 'train', task: '3', attempt: 1 }
const facts = { address, size: 4, stopped: [], author: 'control' } as const
const first = (more: Partial<Placed> & { casualty: Placed['casualty'] }): Placed => ({
  cause: 'user',
  weight: 'own',
  at: 0,
  ...more,
})
const sentence = (placed: Placed) => composeVerdict({ ...facts, judgement: { first: placed, echoes: [] } }).summary

describe('the verdict of a gang', () => {
  it.each([
    [
      first({
        casualty: { kind: 'process', node: 2, host: 'gpu-c', rank: 5, process: 'rank5', pid: 71, signal: 'SIGKILL' },
      }),
      "rank 5 on node 2 (gpu-c) of 4, pid 71 was ended by SIGKILL in step 'train'",
    ],
    [
      first({
        casualty: {
          kind: 'process',
          node: 0,
          host: 'a',
          process: 'mpirun',
          exitCode: 3,
          error: { message: 'no slots\nmore' },
        },
      }),
      "process 'mpirun' on node 0 (a) of 4 ended with exit code 3 in step 'train': no slots",
    ],
    [
      first({ casualty: { kind: 'body', node: 1, host: 'a' }, summary: "step 'train' threw Error: boom at flow.ts:3" }),
      "step 'train' on node 1 (a) of 4 threw Error: boom at flow.ts:3",
    ],
    [
      first({ casualty: { kind: 'agent', node: 3, host: 'd', pid: 9, signal: 'SIGTERM' }, cause: 'infrastructure' }),
      "the agent on node 3 (d) of 4, pid 9 was ended by SIGTERM in step 'train'",
    ],
    [
      first({ casualty: { kind: 'member' }, summary: '3 of 4 members joined within 60 s' }),
      '3 of 4 members joined within 60 s',
    ],
  ])('is a sentence that a person understands (%#)', (placed, summary) => expect(sentence(placed)).toBe(summary))

  it('says what to do about a kill and a crash', () => {
    const fix = (signal: string) =>
      composeVerdict({
        ...facts,
        judgement: { first: first({ casualty: { kind: 'body', node: 0, signal } }), echoes: [] },
      }).fix
    expect(fix('SIGKILL')).toMatch(/dmesg/)
    expect(fix('SIGSEGV')).toMatch(/native code/)
  })

  it('names the command that shows the log of that very process', () => {
    const fix = (casualty: Placed['casualty']) =>
      composeVerdict({ ...facts, judgement: { first: first({ casualty }), echoes: [] } }).fix
    expect(fix({ kind: 'process', node: 2, process: 'rank5', exitCode: 1 })).toContain(
      '`gangflow logs Fit/1700/train/3 --attempt 1 --node 2 --process rank5`',
    )
    expect(fix({ kind: 'member' })).toContain('`gangflow logs Fit/1700/train/3 --attempt 1`')
  })

  it('blames nobody when the end was asked for', () => {
    const stop = { cause: 'cancelled', why: 'cancelled by Ctrl-C', graceMs: 1 } as const
    expect(composeVerdict({ ...facts, stop })).toMatchObject({
      cause: 'cancelled',
      summary: "step 'train' was stopped: cancelled by Ctrl-C",
      echoes: [],
    })
  })
})
