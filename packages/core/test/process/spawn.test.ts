import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { OutputChunk } from '../../src/process/contract.js'
import { env, folder, keep, sh, slack, spooled, spooledText } from './helpers.js'

describe('a kept process', () => {
  it('runs with exactly its argv, environment, directory and standard input', async () => {
    const keeper = await keep()
    const cwd = folder()
    const request = sh('p', 'pwd; env; printf "<%s>" "$@"; cat', {
      argv: ['sh', '-c', 'pwd; env; printf "<%s>" "$@"; cat', 'sh', 'a b', '', '"q"', 'ü'],
      env: { ...env, TERM: 'x' },
      cwd,
      stdin: 'pipe',
    })
    const kept = await keeper.spawn(request)
    // It waits for its input: on a busy machine it would else have ended before it is looked at.
    expect(readFileSync(`/proc/${kept.pid}/stat`, 'utf8').split(' ').at(21)).toBe(kept.startTime)
    await kept.write(Buffer.from('in\0put'))
    kept.endStdin()
    expect(await kept.exited).toMatchObject({ code: 0, signal: null, solicited: false })
    const text = spooledText(request)
    expect(text).toContain(cwd)
    expect(text).toContain('TERM=x\n')
    expect(text).toMatch(/GANGFLOW_MARK=test-/)
    expect(text).not.toContain('HOME=')
    expect(text.endsWith('<a b><><"q"><ü>in\0put')).toBe(true)
  })

  it('reports exit code, signal and age', async () => {
    const keeper = await keep()
    const codes = await keeper.spawn(sh('code', 'exit 42'))
    const signals = await keeper.spawn(sh('signal', 'kill -SEGV $$'))
    const before = performance.now()
    expect(await codes.exited).toMatchObject({ code: 42, signal: null, solicited: false })
    const exit = await signals.exited
    expect(exit).toMatchObject({ code: null, signal: 'SIGSEGV', solicited: false })
    expect(exit.ageMs).toBeLessThan(500 * slack)
    expect(exit.at).toBeGreaterThan(before - 500 * slack)
    expect(exit.at).toBeLessThanOrEqual(performance.now())
  })

  it('is told apart when it was ended by us, and when it ended before the order', async () => {
    const keeper = await keep()
    const signalled = await keeper.spawn(sh('a', 'sleep 60'))
    signalled.signal('SIGUSR1')
    expect(await signalled.exited).toMatchObject({ signal: 'SIGUSR1', solicited: true })
    const stopped = await keeper.spawn(sh('b', 'trap "exit 3" TERM; echo ready; while :; do sleep 0.05; done'))
    await new Promise<void>((resolve) => stopped.onOutput(() => resolve()))
    expect(await stopped.stop({ graceMs: 5000 })).toMatchObject({ code: 3, solicited: true })
    const own = await keeper.spawn(sh('c', 'kill -KILL $$'))
    await own.exited
    expect(await own.stop({ graceMs: 0 })).toMatchObject({ signal: 'SIGKILL', solicited: false })
  })

  it('gives its output live and in the spool, streams apart, in order', async () => {
    const keeper = await keep()
    const request = sh('p', 'for i in 1 2 3; do echo out$i; echo err$i >&2; sleep 0.02; done')
    const kept = await keeper.spawn(request)
    const live: OutputChunk[] = []
    kept.onOutput((chunk) => live.push({ ...chunk, data: Buffer.from(chunk.data) }))
    await kept.exited
    const records = spooled(request)
    expect(spooledText(request, 'stdout')).toBe('out1\nout2\nout3\n')
    expect(spooledText(request, 'stderr')).toBe('err1\nerr2\nerr3\n')
    expect(records.every((record, index) => index === 0 || record.at >= records[index - 1]!.at)).toBe(true)
    expect(live.map((chunk) => [chunk.stream, chunk.at, Buffer.from(chunk.data).toString()])).toEqual(
      records.map((record) => [record.stream, record.at, Buffer.from(record.data).toString()]),
    )
    expect(await kept.closed).toEqual({ lostBytes: 0 })
  })

  it('is written to while it runs, and says when nobody reads', async () => {
    const keeper = await keep()
    const request = sh('p', 'head -c 1000000 | wc -c; exec 0<&-; sleep 0.5', { stdin: 'pipe' })
    const kept = await keeper.spawn(request)
    await kept.write(Buffer.alloc(1_000_000, 1))
    await expect(
      (async () => {
        for (let i = 0; i < 100; i++) await kept.write(Buffer.alloc(100_000))
      })(),
    ).rejects.toMatchObject({ code: 'E_PROCESS_STDIN_CLOSED' })
    kept.endStdin()
    await kept.exited
    expect(spooledText(request)).toBe('1000000\n')
    await expect(kept.write(Buffer.from('x'))).rejects.toMatchObject({ code: 'E_PROCESS_STDIN_CLOSED' })
  })

  it('starts 300 at once', async () => {
    const keeper = await keep()
    const spool = folder()
    const started = await Promise.all(
      Array.from({ length: 300 }, (_, i) => keeper.spawn(sh(`p${i}`, `echo ${i}; exit ${i % 100}`, { spool }))),
    )
    const exits = await Promise.all(started.map((kept) => kept.exited))
    expect(exits.map((exit) => exit.code)).toEqual(started.map((_, i) => i % 100))
    for (let i = 0; i < 300; i++) expect(spooledText({ name: `p${i}`, spool })).toBe(`${i}\n`)
  })
})
