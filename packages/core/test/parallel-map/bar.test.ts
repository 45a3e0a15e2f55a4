import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { Bar, barText } from '../../src/parallel-map/bar.js'

const progress = {
  map: 1,
  label: 'tokenize',
  done: 230,
  failed: 2,
  total: 512,
  elapsed: 5400,
  rate: 42.1,
  eta: 3_671_000,
  ended: false,
}

describe('the bar of a map', () => {
  it('has the part, the rate, the time, what is left and what failed', () => {
    expect(barText(progress, 120)).toBe(
      `tokenize 44% ${'━'.repeat(18)}${'─'.repeat(22)} 230/512  42/s  0:05  left 1:01:11  2 failed`,
    )
  })

  it('needs no total, no label and little room', () => {
    expect(barText({ ...progress, label: undefined, total: undefined, eta: undefined, failed: 0 }, 120)).toBe(
      '230  42/s  0:05',
    )
    for (const columns of [10, 40, 60, 80]) expect(barText(progress, columns).length).toBeLessThan(columns)
  })

  it('keeps to its line whatever the label is', () => {
    const text = (label: string) => barText({ ...progress, label }, 60)
    expect(text('two\nlines')).toMatch(/^two lines 44% /)
    expect(text('x'.repeat(200))).toMatch(/^x{4,}… 44% .*2 failed$/)
    // Each of these takes two columns.
    expect(text('日本語')).toHaveLength(text('abcdef').length - 3)
  })

  it('is drawn over itself on a terminal, by one map at a time, and nowhere else', () => {
    const written: string[] = []
    const terminal = { isTTY: true, columns: 80, write: (text: string) => written.push(text) }
    const [one, other] = [Bar.on(terminal)!, Bar.on(terminal)!]
    one.draw(progress)
    other.draw({ ...progress, label: 'other' })
    one.draw({ ...progress, ended: true })
    other.draw({ ...progress, label: 'other' })
    expect(written.map((text) => /^\r\x1b\[K(\w+)/.exec(text)?.[1])).toEqual(['tokenize', 'tokenize', 'other'])
    expect(written[1]!.endsWith('\n')).toBe(true)
    expect(Bar.on({ ...terminal, isTTY: false })).toBeUndefined()
    vi.stubEnv('TERM', 'dumb')
    onTestFinished(() => void vi.unstubAllEnvs())
    expect(Bar.on(terminal)).toBeUndefined()
  })
})
