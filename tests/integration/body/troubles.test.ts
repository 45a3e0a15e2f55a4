import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { BodyOutcome } from '../../../packages/core/src/body/contract.js'
import { artifactsOf, slack, sleep, stage } from './harness.js'

const troubles = await stage('troubles.ts')
const impatient = await stage('diamond.ts', { GANGFLOW_DATASTORE_TIMEOUT: '2' })
const file = troubles.compiled.file
const source = readFileSync(file, 'utf8').split('\n')
const lineOf = (text: string) => source.findIndex((line) => line.includes(text)) + 1

async function failure(step: string, options?: Parameters<typeof troubles.run>[1]) {
  const outcome: BodyOutcome = await troubles.run(step, options).outcome
  if (outcome.ok) throw new Error(`${step} went well`)
  return outcome
}

const alive = (pid: number) => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

describe('a step that fails', () => {
  it('is told with its own file and line, and what caused it', async () => {
    const outcome = await failure('throws')
    expect(outcome).toMatchObject({
      cause: 'user',
      code: 'E_STEP_FAILED',
      summary: `step 'throws' threw RangeError: bad learning rate at ${file}:${lineOf("new RangeError('bad")}`,
      error: {
        name: 'RangeError',
        step: 'throws',
        location: { file, line: lineOf("new RangeError('bad") },
        details: { causes: [{ name: 'Error', message: 'it was negative' }] },
      },
    })
    const stack = outcome.casualty.error!.stack!
    expect(stack).toContain(`helper (${file}:${lineOf("new RangeError('bad")}:`)
    expect(stack).toContain(`${file}:${lineOf('    helper()')}:`)
    expect(stack).not.toContain('/dist/')
  })

  it('may be asynchronous, and throw what is no error', async () => {
    expect(await failure('throwsLater')).toMatchObject({
      summary: `step 'throwsLater' threw Error: after a while at ${file}:${lineOf("Error('after a while')")}`,
    })
    expect(await failure('throwsText')).toMatchObject({
      summary: "step 'throwsText' threw Thrown: a value that is no error: 'just text'",
    })
  })

  it('may call process.exit', async () => {
    expect(await failure('exits')).toMatchObject({
      cause: 'user',
      code: 'E_STEP_EXITED',
      summary: `step 'exits' called process.exit(3) at ${file}:${lineOf('process.exit(3)')}`,
      casualty: { exitCode: 3, lastLines: ['last words on stdout'] },
    })
  })

  it('may fail outside of its own call', async () => {
    expect(await failure('throwsInTimer')).toMatchObject({
      summary: `step 'throwsInTimer' threw Error: in a timer at ${file}:${lineOf("Error('in a timer')")}`,
    })
    expect(await failure('forgets')).toMatchObject({
      summary: `step 'forgets' threw Error: nobody caught this at ${file}:${lineOf("Error('nobody caught")}`,
    })
  })

  it('may wait for what can never happen', async () => {
    expect(await failure('stalls')).toMatchObject({ cause: 'user', code: 'E_STEP_STALLED', error: { step: 'stalls' } })
  })

  it('may set what cannot be saved', async () => {
    const outcome = await failure('unsavable')
    expect(outcome).toMatchObject({ code: 'E_ARTIFACT_UNSUPPORTED' })
    expect(outcome.summary).toMatch(/seen.*unsavable/s)
  })

  it('may need more memory than there is', async () => {
    const env = { ...troubles.spec.env, NODE_OPTIONS: '--max-old-space-size=40' }
    expect(await failure('hungry', { spec: { ...troubles.spec, env } })).toMatchObject({
      cause: 'user',
      code: 'E_BODY_MEMORY',
      summary: "step 'hungry' needed more memory than Node's heap may have",
    })
  })

  it('may break while its file is loaded', async () => {
    const env = { ...troubles.spec.env, BREAK_LOADING: '1' }
    expect(await failure('patient', { spec: { ...troubles.spec, env } })).toMatchObject({
      code: 'E_FLOW_LOAD',
      error: { location: { file, line: lineOf('broken while loading') } },
    })
  })
})

describe('a body that is ended', () => {
  it('tells of the signal and the last lines', async () => {
    expect(await failure('killed')).toMatchObject({
      cause: 'infrastructure',
      code: 'E_BODY_SIGNAL',
      summary: "the body of step 'killed' was ended by SIGKILL",
      casualty: { kind: 'body', signal: 'SIGKILL', lastLines: ['before the kill'] },
    })
  })

  it('ends on its timeout, though it ignores TERM', async () => {
    const started = performance.now()
    const outcome = await failure('ignoresTerm', { timeoutMs: 400 })
    expect(outcome).toMatchObject({
      cause: 'timeout',
      code: 'E_STEP_TIMEOUT',
      summary: "step 'ignoresTerm' ran longer than its timeout of 400 ms",
      casualty: { signal: 'SIGKILL', lastLines: ['here to stay', 'not listening'] },
    })
    expect(performance.now() - started).toBeLessThan(2500 * slack)
  })

  it('ends when its event loop is blocked', async () => {
    const outcome = await failure('blocks', { timeoutMs: 300 })
    expect(outcome).toMatchObject({ cause: 'timeout', casualty: { lastLines: ['blocking'] } })
  })

  it('ends at once when it is stopped, and says why', async () => {
    const played = troubles.run('patient')
    await played.until('line')
    const started = performance.now()
    played.stop({ cause: 'cancelled', why: 'cancelled by Ctrl-C', graceMs: 30_000 })
    expect(await played.outcome).toMatchObject({
      ok: false,
      cause: 'cancelled',
      code: 'E_STEP_STOPPED',
      summary: "step 'patient' was stopped: cancelled by Ctrl-C",
      casualty: { signal: 'SIGTERM' },
    })
    expect(performance.now() - started).toBeLessThan(2000 * slack)
  })

  it('may be stopped before it is up, or before it was asked for', async () => {
    const early = troubles.run('patient')
    early.stop({ cause: 'cancelled', why: 'too late', graceMs: 100 })
    expect(await early.outcome).toMatchObject({ ok: false, cause: 'cancelled' })
    const never = troubles.run('patient', {
      signal: AbortSignal.abort({ cause: 'user', why: "step 'x' failed", graceMs: 100 }),
    })
    expect(await never.outcome).toMatchObject({ ok: false, cause: 'user', code: 'E_STEP_STOPPED' })
  })

  it('that cannot start says why', async () => {
    const env = { ...troubles.spec.env, NODE_OPTIONS: '--no-such-flag' }
    const outcome = await failure('patient', { spec: { ...troubles.spec, env } })
    expect(outcome).toMatchObject({ cause: 'infrastructure', code: 'E_BODY_START' })
    expect(outcome.casualty.lastLines!.join('\n')).toContain('--no-such-flag')
  })
})

describe('a body that cannot be started', () => {
  it('says what its keeper says', async () => {
    const compiled = { ...troubles.compiled, file: '/nowhere/flow.ts' }
    const played = troubles.run('patient', { spec: { ...troubles.spec, compiled } })
    expect(await played.outcome).toMatchObject({ ok: false, cause: 'infrastructure', code: 'E_PROCESS_CWD_MISSING' })
    await played.logged
  })
})

describe('a step that goes well', () => {
  it('may print 50 MB', async () => {
    const played = troubles.run('prints')
    expect(await played.outcome).toMatchObject({ ok: true })
    await played.logged
    const lines = played.events.filter((event) => event.type === 'line')
    expect(lines.at(-1)).toMatchObject({ text: 'the end of it' })
    expect(lines.length).toBeLessThan(20_000)
    expect(await played.logged.then(() => played.logLines())).toBe(1_070_001)
    expect(lines.reduce((sum, line) => sum + (line.skipped ?? 0), lines.length)).toBeGreaterThan(200_000)
  })

  it('may print on stderr alone', async () => {
    const played = troubles.run('complains')
    expect(await played.outcome).toMatchObject({ ok: true })
    await played.logged
    expect(played.lines('stdout')).toEqual([])
    expect(played.lines('stderr').at(-1)).toBe('complaint 19999')
  })

  it('may leave handles and children behind: they go with it', async () => {
    const played = troubles.run('leavesThings')
    const { seen } = artifactsOf(troubles.store, await played.outcome)
    const body = (await played.until('started')) as { pid: number }
    await played.logged
    for (let i = 0; i < 100 * slack && (alive(body.pid) || alive(seen as number)); i += 1) await sleep(10)
    expect([alive(body.pid), alive(seen as number)]).toEqual([false, false])
  })
})

describe('a step that reads an artifact from a disk that hangs', () => {
  it('is ended after the deadline of the datastore, with what it waited for', async () => {
    const start = await impatient.run('start').outcome
    await impatient.commit({ step: 'start', task: '1' }, start)
    if (!start.ok) throw new Error(start.summary)
    const { hash } = start.completion.artifacts['base']!
    const blobs = join(impatient.spool, '../store/blobs')
    const name = readdirSync(blobs, { recursive: true })
      .map(String)
      .find((path) => path.endsWith(hash.slice(4)))!
    rmSync(join(blobs, name))
    // Whoever opens it to read waits for one who writes.
    execFileSync('mkfifo', [join(blobs, name)])
    const { outcome } = impatient.run('left', { parents: [{ step: 'start', task: '1' }] })
    expect(await outcome).toMatchObject({
      ok: false,
      cause: 'infrastructure',
      code: 'E_DATASTORE_TIMEOUT',
      summary: expect.stringMatching(/^step 'left': the datastore dir:.* has not answered for 2 s: reading blob /),
      casualty: { kind: 'body', signal: 'SIGKILL' },
    })
  })
})
