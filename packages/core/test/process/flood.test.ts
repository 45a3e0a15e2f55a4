import { execFileSync } from 'node:child_process'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { decodeLog } from '../../src/datastore/log-format.js'
import type { KeptProcess } from '../../src/process/contract.js'
import { spoolFile } from '../../src/process/spool.js'
import { folder, isRunning, keep, sh, slack, spooledText, until } from './helpers.js'

/** Writes `lines` numbered lines of `width` bytes as fast as it can. */
const flood = (lines: number, width: number) => [
  'perl',
  '-e',
  `my $p = "x" x ${width - 11}; for my $i (1..${lines}) { printf "%09d %s\\n", $i, $p }`,
]

/** Checks that the spool holds lines 1…count, each once, whole and in order. */
function checkSpool(spool: string, name: string, count: number, width: number): void {
  const bytes = readFileSync(spoolFile(spool, name))
  const { records, consumed } = decodeLog(bytes)
  expect(consumed).toBe(bytes.length)
  let line = 0
  let rest = Buffer.alloc(0)
  for (const record of records) {
    const text = Buffer.concat([rest, record.data])
    let at = 0
    for (; at + width <= text.length; at += width) {
      line++
      if (Number(text.toString('latin1', at, at + 9)) !== line) throw new Error(`line ${line} is not at its place`)
    }
    rest = text.subarray(at)
  }
  expect(rest.length).toBe(0)
  expect(line).toBe(count)
}

const liveBytes = (kept: KeptProcess) => {
  const seen = { shown: 0, skipped: 0 }
  kept.onOutput((chunk) => {
    seen.shown += chunk.data.length
    seen.skipped += chunk.skipped ?? 0
  })
  return seen
}

describe('a flood', () => {
  it('of 100 MB is whole and in order in the spool; the live view counts what it left out', async () => {
    const keeper = await keep()
    const spool = folder()
    const kept = await keeper.spawn(sh('p', '', { argv: flood(1_000_000, 100), spool }))
    const seen = liveBytes(kept)
    expect(await kept.exited).toMatchObject({ code: 0 })
    checkSpool(spool, 'p', 1_000_000, 100)
    await kept.closed
    expect(seen.shown + seen.skipped).toBe(100_000_000)
    expect(seen.skipped).toBeGreaterThan(0)
    expect(seen.shown).toBeGreaterThanOrEqual(1 << 20)
  })

  it('of four processes at once keeps every line, and the owner can still give orders', async () => {
    const keeper = await keep()
    const spool = folder()
    const four = await Promise.all(
      [0, 1, 2, 3].map((i) => keeper.spawn(sh(`rank${i}`, '', { argv: flood(200_000, 40), spool }))),
    )
    for (const kept of four) liveBytes(kept)
    const begun = performance.now()
    const other = await keeper.spawn(sh('other', 'true'))
    await other.exited
    expect(performance.now() - begun).toBeLessThan(500 * slack)
    await Promise.all(four.map((kept) => kept.exited))
    for (let i = 0; i < 4; i++) checkSpool(spool, `rank${i}`, 200_000, 40)
  })

  it('is not slowed by an owner that does not read', async () => {
    const keeper = await keep()
    const spool = folder()
    const kept = await keeper.spawn(sh('p', '', { argv: flood(300_000, 100), spool }))
    const seen = liveBytes(kept)
    // The event loop of this process, and with it the reading, stands still.
    const end = performance.now() + 10_000 * slack
    while (isRunning(kept.pid) && performance.now() < end);
    expect(isRunning(kept.pid)).toBe(false)
    checkSpool(spool, 'p', 300_000, 100)
    await kept.exited
    await kept.closed
    expect(seen.shown + seen.skipped).toBe(30_000_000)
  })

  it('without a listener costs no memory beyond the first MiB, which a late one still gets', async () => {
    const keeper = await keep()
    const kept = await keeper.spawn(sh('p', '', { argv: flood(100_000, 100) }))
    await kept.exited
    const seen = liveBytes(kept)
    expect(seen.shown).toBeGreaterThan(900_000)
    expect(seen.shown).toBeLessThanOrEqual(1 << 20)
  })
})

describe('the end of a process', () => {
  it('is told at once although a descendant holds its output, whose late lines are kept', async () => {
    const keeper = await keep()
    const spool = folder()
    const gate = join(spool, 'gate')
    const request = sh('p', `(while [ ! -e ${gate} ]; do sleep 0.02; done; echo late) & echo early; exit 4`, { spool })
    const kept = await keeper.spawn(request)
    let closed = false
    void kept.closed.then(() => {
      closed = true
    })
    expect(await kept.exited).toMatchObject({ code: 4 })
    expect(spooledText(request)).toBe('early\n')
    expect(closed).toBe(false)
    writeFileSync(gate, '')
    await kept.closed
    expect(spooledText(request)).toBe('early\nlate\n')
  })

  it('has its very last line in the spool, also after a crash', async () => {
    const keeper = await keep()
    for (let i = 0; i < 20; i++) {
      const request = sh(`p${i}`, 'seq 1 5000; echo last words >&2; kill -KILL $$')
      const kept = await keeper.spawn(request)
      expect(await kept.exited).toMatchObject({ signal: 'SIGKILL' })
      expect(spooledText(request, 'stderr')).toBe('last words\n')
      expect(spooledText(request, 'stdout').endsWith('\n5000\n')).toBe(true)
    }
  })

  it('closes the spool when the tree was stopped, whoever else holds the pipe', async () => {
    const keeper = await keep()
    const kept = await keeper.spawn(sh('p', 'sleep 631 & exit 0'))
    await kept.exited
    await kept.stop({ graceMs: 100 })
    await kept.closed
  })
})

/** A limit on the size of files acts on the keeper's writes as a full disk does. */
const limitFiles = (pid: number, bytes: number) =>
  execFileSync('python3', [
    '-c',
    `import resource as r; r.prlimit(${pid}, r.RLIMIT_FSIZE, (${bytes}, r.RLIM_INFINITY))`,
  ])

describe('a full disk', () => {
  it('costs output, which is counted, told and noted in the log, but not the process', async () => {
    const faults: { process: string; errno: string }[] = []
    const keeper = await keep({ onSpoolFault: (fault) => faults.push(fault) })
    const spool = folder()
    const gate = (n: number) => join(spool, `gate${n}`)
    const wait = (n: number) => `until (-e "${gate(n)}") { select undef, undef, undef, 0.02 }`
    const perl = `$| = 1; print "before\n"; ${wait(1)} print "x" x 99, "\n" for 1..3000; ${wait(2)} print "after\n"`
    const request = sh('p', '', { argv: ['perl', '-e', perl], spool })
    const kept = await keeper.spawn(request)
    const seen = liveBytes(kept)
    await until('the first line', () => spooledText(request) === 'before\n')
    // Room for a part of the next record only.
    limitFiles(keeper.pid, statSync(spoolFile(spool, 'p')).size + 50)
    writeFileSync(gate(1), '')
    await until('all of it to be shown', () => seen.shown === 300_007)
    expect(faults.map(({ process, errno }) => [process, errno])).toEqual([['p', 'EFBIG']])
    expect(isRunning(kept.pid)).toBe(true)
    expect(spooledText(request)).toBe('before\n')
    limitFiles(keeper.pid, -1)
    writeFileSync(gate(2), '')
    expect(await kept.exited).toMatchObject({ code: 0 })
    expect(await kept.closed).toEqual({ lostBytes: 300_000 })
    expect(spooledText(request)).toBe(
      'before\n[gangflow: 300000 bytes of output lost: the disk did not take them]\nafter\n',
    )
  })
})
