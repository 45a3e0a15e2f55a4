import { describe, expect, it } from 'vitest'
import { type Line, LineFeed, type LineFeedOptions } from '../../src/body/lines.js'

function feed(options: LineFeedOptions = {}) {
  const lines: Line[] = []
  const clock = { ms: 0 }
  const lineFeed = new LineFeed((line) => lines.push(line), { now: () => clock.ms, ...options })
  const out = (text: string | Uint8Array, stream: Line['stream'] = 'stdout') =>
    lineFeed.push({ stream, data: Buffer.from(text as string) })
  return { lines, clock, lineFeed, out, texts: () => lines.map((line) => line.text) }
}

describe('LineFeed', () => {
  it('never cuts a character or a line, whatever the chunks', () => {
    const { lineFeed, out, texts } = feed()
    for (const byte of Buffer.from('grüße 🎉\r\nzwei\n\ndrei')) out(Uint8Array.of(byte))
    lineFeed.end()
    expect(texts()).toEqual(['grüße 🎉', 'zwei', '', 'drei'])
  })

  it('keeps the streams apart', () => {
    const { out, lines } = feed()
    out('a')
    out('b\n', 'stderr')
    out('c\n')
    expect(lines).toEqual([
      { stream: 'stderr', text: 'b' },
      { stream: 'stdout', text: 'ac' },
    ])
  })

  it('shows a line that overwrites itself now and then, and what is left of it', () => {
    const { out, clock, texts } = feed()
    for (let percent = 0; percent <= 100; percent += 1) {
      out(`\r${percent}%`)
      clock.ms += 30
    }
    out('\rdone\n')
    expect(texts()).toEqual(['0%', '34%', '68%', 'done'])
  })

  it('shows a line without end in pieces, whole characters each', () => {
    const { out, lineFeed, texts } = feed({ longest: 10 })
    out('é'.repeat(12))
    out('x\n')
    lineFeed.end()
    expect(texts().join('|')).toBe(`${'é'.repeat(5)}|${'é'.repeat(5)}|ééx`)
  })

  it('thins out a flood, counts what it left out, and shows the last lines', () => {
    const { out, clock, lineFeed, lines } = feed({ burst: 10, rate: 100, tail: 5 })
    out(Array.from({ length: 100 }, (_, i) => `${i}\n`).join(''))
    clock.ms += 20
    out('100\n101\n102\n')
    expect(lines.slice(10)).toEqual([
      { stream: 'stdout', text: '100', skipped: 90 },
      { stream: 'stdout', text: '101' },
    ])
    out(Array.from({ length: 50 }, (_, i) => `late ${i}\n`).join(''))
    expect(lineFeed.tail()).toEqual([45, 46, 47, 48, 49].map((i) => `late ${i}`))
    lineFeed.end()
    expect(lines.slice(12)).toEqual([
      { stream: 'stdout', text: 'late 45', skipped: 46 },
      ...[46, 47, 48, 49].map((i) => ({ stream: 'stdout', text: `late ${i}` })),
    ])
    const shown = lines.length + lines.reduce((sum, line) => sum + (line.skipped ?? 0), 0)
    expect(shown).toBe(153)
  })

  it('says that bytes were left out before it', () => {
    const { out, lineFeed, lines } = feed()
    out('begun')
    lineFeed.push({ stream: 'stdout', data: Buffer.from('ended\n'), skipped: 800 })
    expect(lines).toEqual([
      { stream: 'stdout', text: 'begun' },
      { stream: 'stdout', text: 'ended', skipped: 10 },
    ])
  })

  it.each([
    ['nothing', '', ['a 3', 'a 4', 'end']],
    ['a line that was not shown', 'end\n', ['a 3', 'a 4', 'end']],
    ['the beginning of a line', 'end', ['a 3', 'a 4', 'end']],
  ])('shows the end of an output that came with a gap before %s', (_, after, expected) => {
    const { out, lineFeed, lines, texts } = feed({ burst: 3, rate: 0, tail: 3 })
    const whole = [0, 1, 2, 3, 4].map((i) => `a ${i}\n`).join('')
    out(whole.slice(0, 12))
    lineFeed.push({ stream: 'stdout', data: Buffer.from(after), skipped: 160 })
    expect(lineFeed.gapped).toBe(true)
    lineFeed.recall([{ stream: 'stdout', data: Buffer.from(`${whole}end\n`) }])
    lineFeed.end()
    expect(texts()).toEqual(['a 0', 'a 1', 'a 2', ...expected])
    expect(lines[3]!.skipped ?? 0).toBeLessThanOrEqual(2)
    expect(lineFeed.tail()).toEqual(expected)
  })

  it('shows no line twice that was shown after a gap', () => {
    const { out, clock, lineFeed, texts } = feed({ burst: 2, rate: 1, tail: 4 })
    out('a\nb\n')
    clock.ms += 1000
    lineFeed.push({ stream: 'stdout', data: Buffer.from('y\n'), skipped: 160 })
    out('z\n')
    lineFeed.recall([{ stream: 'stdout', data: Buffer.from('a\nb\nw\nx\ny\nz\n') }])
    lineFeed.end()
    expect(texts()).toEqual(['a', 'b', 'y', 'z'])
  })

  it('takes 50 MB of lines in little time', () => {
    const { lineFeed, lines } = feed()
    const data = Buffer.from('0123456789abcdef\n'.repeat(3855))
    const started = performance.now()
    for (let i = 0; i < 800; i += 1) lineFeed.push({ stream: 'stdout', data })
    lineFeed.end()
    expect(lines.length).toBe(2020)
    expect(performance.now() - started).toBeLessThan(2000 * Number(process.env['GANGFLOW_SLACK'] ?? 4))
  })
})
