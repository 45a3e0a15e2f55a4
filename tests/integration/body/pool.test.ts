import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { saveValues } from '../../../packages/core/src/datastore/artifacts/save.js'
import { artifactsOf, slack, sleep, stage } from './harness.js'

const diamond = await stage('diamond.ts')
const { store, host, keeper, spec } = diamond
const [one, two, bad] = await saveValues(store, ['one', 'two', 'bad'], { label: 'items' })

type Started = { pid: number; warm: boolean }
const started = async (played: ReturnType<typeof diamond.run>) => (await played.until('started')) as unknown as Started

describe('a body started ahead of need', () => {
  it('takes the task of its spec, and what it printed while it was loaded is in that log', async () => {
    host.prepare(spec)
    await sleep(500 * slack)
    const played = diamond.run('start')
    expect(await started(played)).toMatchObject({ warm: true })
    const outcome = await played.outcome
    expect(artifactsOf(store, outcome)).toEqual({ base: new Float64Array([1, 2, 3]), list: ['a'] })
    await played.logged
    expect(played.lines()).toEqual(['loaded'])
    expect(await played.log()).toEqual(['loaded'])
  })

  it('takes none whose environment or flags differ in anything', async () => {
    host.prepare(spec)
    for (const other of [
      { ...spec, env: { ...spec.env, NODE_OPTIONS: '--no-warnings' } },
      { ...spec, env: { ...spec.env, ANY: '1' } },
      { ...spec, execArgv: ['--no-deprecation'] },
    ]) {
      const played = diamond.run('start', { spec: other })
      expect(await started(played)).toMatchObject({ warm: false })
      await played.outcome
    }
    const last = diamond.run('start')
    expect(await started(last)).toMatchObject({ warm: true })
    await last.outcome
  })

  it('that died while it waited is replaced', async () => {
    host.prepare(spec, 1)
    await sleep(300 * slack)
    await keeper.stopAll({ graceMs: 0, signal: 'SIGKILL' })
    const played = diamond.run('start')
    expect(await played.outcome).toMatchObject({ ok: true })
  })
})

describe('a body that is used again', () => {
  it('takes the next item of its step, with a log of its own and its working directory', async () => {
    const first = diamond.run('fit', { reuse: true, item: one! })
    expect(artifactsOf(store, await first.outcome)).toMatchObject({ word: 'one 1 fixtures' })
    const second = diamond.run('fit', { reuse: true, item: two! })
    // The module's own state is what leaks: documented.
    expect(artifactsOf(store, await second.outcome)).toMatchObject({ word: 'two 2 fixtures' })
    expect((await started(second)).pid).toBe((await started(first)).pid)
    expect(await started(second)).toMatchObject({ warm: true })
    await Promise.all([first.logged, second.logged])
    expect(first.lines()).toEqual(['loaded', 'item one of task 1'])
    expect(await first.log()).toEqual(['loaded', 'item one of task 1'])
    expect(second.lines()).toEqual(['item two of task 2'])
    expect(await second.log()).toEqual(['item two of task 2'])
  })

  it('serves that step alone, and not after a failure', async () => {
    const failed = diamond.run('fit', { reuse: true, item: bad! })
    const { pid } = await started(failed)
    // This flow is run as a script (troubles.ts, which waits at its top level, as a module): the same stacks.
    const line =
      readFileSync(diamond.compiled.file, 'utf8')
        .split('\n')
        .findIndex((text) => text.includes("'bad item'")) + 1
    expect(readFileSync(`${diamond.compiled.bundle}.script`, 'utf8')).not.toBe('')
    expect(await failed.outcome).toMatchObject({
      ok: false,
      code: 'E_STEP_FAILED',
      summary: `step 'fit' threw Error: bad item at ${diamond.compiled.file}:${line}`,
    })
    const next = diamond.run('fit', { reuse: true, item: one! })
    expect((await started(next)).pid).not.toBe(pid)
    await next.outcome
    const other = diamond.run('start', { reuse: true })
    expect((await started(other)).pid).not.toBe((await started(next)).pid)
    await other.outcome
  })
})

describe('artifacts', () => {
  it('go from parents to children, and what parents set differently is ambiguous', async () => {
    const flow = (name: string, ...parents: string[]) =>
      diamond.run(name, { parents: parents.map((step) => ({ step, task: last.get(step)! })) })
    const last = new Map<string, string>()
    const play = async (name: string, ...parents: string[]) => {
      const played = flow(name, ...parents)
      const outcome = await played.outcome
      last.set(name, played.task)
      await diamond.commit({ step: name, task: played.task }, outcome)
      return outcome
    }
    const start = await play('start')
    const left = await play('left', 'start')
    await play('right', 'start')
    if (!start.ok || !left.ok) throw new Error('failed')
    // Untouched: the same reference; changed in place: stored anew.
    expect(left.completion.artifacts['base']).toEqual(start.completion.artifacts['base'])
    expect(artifactsOf(store, left)['list']).toEqual(['a', 'left'])
    const join = await play('join', 'left', 'right')
    expect(join).toMatchObject({
      completion: { ambiguous: { word: ['left', 'right'], list: ['left', 'right'] } },
    })
    expect(artifactsOf(store, join)).toEqual({
      base: new Float64Array([1, 2, 3]),
      same: 'equal',
      gathered: ['left', 'right', 'a', 'left', '3', 'equal'],
    })
    const fan = await play('fan', 'join')
    expect(fan).toMatchObject({ completion: { transition: { kind: 'foreach', target: 'fit', reuse: true } } })
    expect(fan.ok && fan.completion.ambiguous).toEqual({ word: ['left', 'right'], list: ['left', 'right'] })
    const reading = diamond.run('join', {
      parents: ['left', 'right'].map((step) => ({ step, task: last.get(step)! })),
      spec: { ...spec, env: { ...spec.env, READ_AMBIGUOUS: '1' } },
    })
    expect(await reading.outcome).toMatchObject({ ok: false, code: 'E_ARTIFACT_AMBIGUOUS' })
    const orphan = diamond.run('left', { parents: [{ step: 'start', task: '999' }] })
    expect(await orphan.outcome).toMatchObject({ ok: false, code: 'E_PARENT_MISSING' })
  })
})

describe('at the end of a host', () => {
  it('nothing is left: no process, no socket, no spool', async () => {
    const own = await stage('chain.ts')
    own.host.prepare(own.spec, 2)
    const played = own.run('start')
    await played.outcome
    await own.host.close()
    expect(existsSync(own.host.socket)).toBe(false)
    expect(existsSync(own.spool) ? readdirSync(own.spool) : []).toEqual([])
    const survivors = (own.keeper as unknown as { survey(): Promise<unknown[]> }).survey()
    expect(await survivors).toEqual([])
  })
})
