import { afterAll, describe, expect, it } from 'vitest'
import { cleanUp, gangFlow, processesOf, runFlowGang, verdictOf } from '../support/gang.js'

afterAll(cleanUp)

/** A plugin whose set-up or teardown does not end on node 1. */
const slow = (phase: 'setup' | 'teardown') => `
import { defineStepDecorator } from '@gangflow/core/plugin'
const slow = defineStepDecorator({
  name: 'slow', apiVersion: 1,
  async ${phase}(gang: any) {
    if (gang.nodeIndex !== 1) return
    console.log('turning the key')
    await sleep(600_000)
  },
})`

describe('a phase that takes too long', () => {
  it.each([
    // The start of the bodies is a part of it.
    ['setup', 'set-up', 'E_GANG_SETUP_TIMEOUT', 5],
    ['teardown', 'teardown', 'E_GANG_TEARDOWN_TIMEOUT', 2],
  ] as const)('%s: the verdict names it, its limit and who is waited for', async (phase, name, code, seconds) => {
    const { gang, outcome } = await runFlowGang(gangFlow('', slow(phase), '@slow()'), {
      size: 2,
      timeouts: { [phase]: seconds * 1000 },
    })
    const verdict = verdictOf(outcome, gang)
    expect(verdict).toMatchObject({ cause: 'timeout', code, first: { node: 1 } })
    expect(verdict.summary).toMatch(
      new RegExp(
        `^the ${name} of step 'multi' did not end within its timeout of ${seconds} s; waited for: node 1 \\(m1 on here; heard of [\\d.]+ s ago; last line: "turning the key"\\)`,
      ),
    )
    expect(processesOf(gang.run)).toEqual([])
  })
})

describe('the watchdog for progress', () => {
  it('names who does nothing, and where the others wait for it', async () => {
    const { gang, outcome } = await runFlowGang(
      gangFlow(`await p.barrier('first')
    console.log('thinking')
    if (p.nodeIndex === 1) await sleep(600_000)
    await p.barrier('second')`),
      { size: 3, timeouts: { progress: 2_500 } },
    )
    const verdict = verdictOf(outcome, gang)
    expect(verdict).toMatchObject({ cause: 'timeout', code: 'E_GANG_PROGRESS', first: { node: 1 } })
    expect(verdict.summary).toMatch(
      /^step 'multi' made no progress for 2.5 s: no output, no collective, no progress\(\)/,
    )
    expect(verdict.summary).toMatch(/meanwhile node 0 \(m0 on here; [^)]*waits in barrier\("second"\) for node 1;/)
    // Half of that time before it was said aloud.
    const notes = gang.lines.flatMap(({ event }) =>
      event?.type === 'line' && event.process === 'gangflow' ? [event.text] : [],
    )
    // On a busy machine there may be one of the first barrier before it.
    expect(notes).toContainEqual(
      expect.stringMatching(/^node [02] has waited in barrier\("second"\) for \d s; behind: node 1 \(m1 on here;/),
    )
    expect(verdict.summary).toMatch(/waited for: node 1 \(m1 on here; [^)]*last line: "thinking"\)/)
  })

  it('is content with any sign: a line, a collective, progress()', async () => {
    const { gang, outcome } = await runFlowGang(
      gangFlow(`for (let i = 0; i < 12; i += 1) {
      await sleep(500)
      if (p.nodeIndex === 0) console.log('line', i)
      else p.progress({ i })
    }`),
      { size: 2, timeouts: { progress: 4_000 } },
    )
    expect(outcome, JSON.stringify(outcome) + gang.text()).toMatchObject({ ok: true })
  })
})
