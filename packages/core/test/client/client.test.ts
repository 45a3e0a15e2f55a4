import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { describe, expect, expectTypeOf, it } from 'vitest'
import { Client } from '../../src/client/client.js'
import { openDatastoreSync } from '../../src/datastore/open.js'
import { keys } from '../../src/datastore/records.js'
import { keepSeen } from '../../src/runtime/seen.js'
import { tempDirectory } from '../datastore/helpers.js'
import { SampleRun } from './sample.js'

class Train {
  loss = 0
  readonly rate = 0.1
  history = new Float64Array(0)
  fit(): void {}
}

const open = () => openDatastoreSync(tempDirectory(), { sync: false })
const collect = async <T>(items: AsyncIterable<T>): Promise<T[]> => {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

describe('Client', () => {
  it('reads typed artifacts of a run, synchronously and lazily', async () => {
    const store = open()
    const sample = await SampleRun.start(store, 'Train', '1700000000000001', { parameters: { rate: 0.25 } })
    await sample.task('end', '3')
    await sample.attempt('end', '3')
    await sample.done('end', '3', { loss: 0.5, history: new Float64Array([1, 2]) }, { ambiguous: { mode: ['a', 'b'] } })
    await sample.end('done')
    const client = new Client(store)
    const { artifacts } = client.run<Train>('Train/1700000000000001')
    expectTypeOf(artifacts.loss).toEqualTypeOf<number>()
    expectTypeOf(artifacts).not.toHaveProperty('fit')
    expect(artifacts.loss).toBe(0.5)
    expect(artifacts.rate).toBe(0.25)
    expect(artifacts.history).toEqual(new Float64Array([1, 2]))
    expect(artifacts.history).toBe(artifacts.history)
    expect(Object.keys(artifacts)).toEqual(['rate', 'loss', 'history', 'mode'])
    expect(inspect(artifacts)).toBe(
      'Artifacts of end { rate: number, loss: number, history: Float64Array(2), mode: ambiguous }',
    )
    const loose = client.run(1700000000000001).artifacts
    expect(await loose).toBe(loose)
    expect(() => loose['los']).toThrow(expect.objectContaining({ code: 'E_ARTIFACT_UNKNOWN' }))
    expect(() => loose['mode']).toThrow(expect.objectContaining({ code: 'E_ARTIFACT_AMBIGUOUS' }))
    expect(client.run('Train/1700000000000001').parameters['rate']).toBe(0.25)
    const [typed] = await client.runs(Train)
    expectTypeOf(typed!.artifacts.history).toEqualTypeOf<Float64Array<ArrayBuffer>>()
    expect((await client.latest(Train)).id).toBe('1700000000000001')
  })

  it('lists flows and runs, newest first, by tag and status', async () => {
    const store = open()
    for (const [run, tags, status] of [
      ['9', ['old'], 'done'],
      ['10', ['nightly', 'gpu'], 'failed'],
      ['11', ['nightly'], 'done'],
    ] as const) {
      await (await SampleRun.start(store, 'Train', run, { tags: [...tags] })).end(status)
    }
    await SampleRun.start(store, 'Train', '12')
    await SampleRun.start(store, 'Train', '13', { dead: true })
    await SampleRun.start(store, 'Other', '1')
    await store.putRecord(keys.owner('Train', '14', 1), {}) // claimed, never begun
    const client = new Client(store)
    const ids = async (filter = {}) => (await client.runs('Train', filter)).map((run) => run.id)
    expect(await client.flows()).toEqual(['Other', 'Train'])
    expect(await ids()).toEqual(['13', '12', '11', '10', '9'])
    expect(await ids({ status: 'lost' })).toEqual(['13'])
    expect(await ids({ status: 'running' })).toEqual(['12'])
    expect(await ids({ status: ['done', 'failed'] })).toEqual(['11', '10', '9'])
    expect(await ids({ tag: 'nightly' })).toEqual(['11', '10'])
    expect(await ids({ tag: ['nightly', 'gpu'] })).toEqual(['10'])
    expect(await ids({ limit: 2 })).toEqual(['13', '12'])
    expect(await client.runs('Nobody')).toEqual([])
    const run = client.run('Train/9')
    await run.addTags('kept', 'old')
    await run.removeTags('old')
    expect(run.tags).toEqual(['kept'])
  })

  it('says where a run runs that cannot be looked at from here, and when it was last seen', async () => {
    const store = open()
    await SampleRun.start(store, 'Train', '1')
    const far = await SampleRun.start(store, 'Train', '2')
    const owner = { host: 'elsewhere', pid: 1, pidStart: '1', at: 1_000 }
    await store.putRecord(keys.owner('Train', '2', 2), owner)
    const client = new Client(store)
    expect(client.run('Train/1').elsewhere).toBeUndefined()
    expect(client.run('Train/2')).toMatchObject({ status: 'running' })
    expect(client.run('Train/2').elsewhere).toEqual({ host: 'elsewhere', lastSeenAt: new Date(1_000) })
    const end = keepSeen(store, { flow: 'Train', run: '2', owner: 2, everyMs: 20 })
    const begun = Date.now()
    await expect
      .poll(() => client.run('Train/2').elsewhere?.lastSeenAt.getTime(), { timeout: 20_000 })
      .toBeGreaterThanOrEqual(begun)
    end()
    await far.end('done')
    expect(client.run('Train/2')).toMatchObject({ status: 'done' })
    expect(client.run('Train/2').elsewhere).toBeUndefined()
  })

  it('names what it does not find, and what there is', async () => {
    const store = open()
    const sample = await SampleRun.start(store, 'Train', '10')
    await sample.task('start', '1')
    const client = new Client(store)
    const missing = expect.objectContaining({ code: 'E_NOT_FOUND' })
    expect(() => client.run('Train/11')).toThrow(missing)
    expect(() => client.run('Train/11')).toThrow(/Train\/10/)
    expect(() => client.run('Trian/10')).toThrow(/there are: Train/)
    expect(() => client.run('99')).toThrow(missing)
    expect(() => client.run('a/b/c')).toThrow(missing)
    expect(() => client.run('../..')).toThrow(missing)
    expect(() => client.run('10').step('strat')).toThrow(/start, end/)
    expect(() => client.run('10').task('start', 7)).toThrow(/there are: 1/)
    expect(() => client.run('10').artifacts).toThrow(missing)
    expect(() => client.run('10').task('start').artifacts).toThrow(expect.objectContaining({ code: 'E_TASK_NOT_DONE' }))
    await expect(client.latest('Nobody')).rejects.toThrow(/there are: Train/)
  })

  it('creates nothing where there is nothing', async () => {
    const path = join(tempDirectory(), 'absent')
    const client = new Client(path)
    expect(await client.flows()).toEqual([])
    expect(() => client.run('x')).toThrow(expect.objectContaining({ code: 'E_NOT_FOUND' }))
    expect(existsSync(path)).toBe(false)
  })

  it('tells steps, tasks, attempts, verdicts and items', async () => {
    const store = open()
    const steps = [{ name: 'start' }, { name: 'fit', retry: { times: 1, delayMs: 0, backoff: 1 } }, { name: 'end' }]
    const sample = await SampleRun.start(store, 'Train', '1', { steps })
    await sample.task('start', '1')
    await sample.attempt('start', '1', 0, ['hello', 'from start'])
    await sample.done('start', '1', { items: [1] })
    for (const task of ['2', '10', '9'])
      await sample.task('fit', task, { value: { n: task }, parents: [{ step: 'start', task: '1' }] })
    await sample.attempt('fit', '2', 0, ['try one'])
    await sample.failed('fit', '2', 0, { summary: 'out of luck' })
    await sample.attempt('fit', '9', 0)
    await sample.failed('fit', '9', 0, {})
    await sample.attempt('fit', '9', 1)
    const client = new Client(store)
    const run = client.run('Train/1')
    expect((await run.steps()).map(({ name }) => name)).toEqual(['start', 'fit'])
    const states = async () =>
      Object.fromEntries((await run.tasks({ step: 'fit' })).map(({ id, status }) => [id, status]))
    expect((await run.tasks()).map(({ pathspec }) => pathspec)).toEqual([
      'Train/1/start/1',
      'Train/1/fit/2',
      'Train/1/fit/9',
      'Train/1/fit/10',
    ])
    expect(await states()).toEqual({ 2: 'queued', 9: 'running', 10: 'queued' })
    await sample.failed('fit', '9', 1, { cause: 'timeout', summary: 'too slow' })
    expect(await states()).toMatchObject({ 9: 'failed' })
    await sample.end('failed', { failed: { step: 'fit', task: '9', attempt: 1 }, error: { code: 'E_X', what: 'w' } })
    expect(await states()).toEqual({ 2: 'failed', 9: 'failed', 10: 'cancelled' })
    expect((await run.tasks({ status: ['done'] })).map(({ id }) => id)).toEqual(['1'])
    expect([run.status, run.failed?.task, run.error?.code]).toEqual(['failed', '9', 'E_X'])
    const task = run.task('fit', 9)
    expect(task.verdict?.summary).toBe('too slow')
    expect(task.attempts().map(({ attempt, status, verdict }) => [attempt, status, verdict?.cause])).toEqual([
      [0, 'failed', 'user'],
      [1, 'failed', 'timeout'],
    ])
    expect(task.item).toEqual({ n: '9' })
    expect(task.parents).toEqual([{ step: 'start', task: '1' }])
    expect(run.task('start').artifactTypes).toEqual({ items: 'Array(1)' })
    expect((await collect(run.logs())).map(({ step, text }) => `${step}: ${text}`)).toEqual([
      'start: hello',
      'start: from start',
      'fit: try one',
    ])
    expect((await run.task('start').tail(1)).map(({ text }) => text)).toEqual(['from start'])
    expect(await collect(run.task('fit', '10').logs())).toEqual([])
  })

  it('tells the nodes of a gang, their artifacts and their logs', async () => {
    const store = open()
    const sample = await SampleRun.start(store, 'Train', '1', { steps: [{ name: 'gang' }] })
    await sample.task('gang', '1', { gangSize: 2 })
    await sample.attempt('gang', '1')
    const address = sample.at('gang', '1')
    await sample.print(address, 0, 'rank0', ['a', 'b'])
    await sample.print(address, 1, 'rank1', ['c'])
    const nodes = []
    for (const node of [0, 1]) {
      const record = { node, host: `h${node}`, control: node === 0, artifacts: await sample.save({ rank: node }) }
      await sample.put(keys.node(address, 1, node), record)
      nodes.push(record)
    }
    await sample.put(keys.plan(address, 0, 'torchrun'), { argv: ['torchrun'] })
    const task = new Client(store).run('1').task('gang')
    expect((await task.nodes()).map(({ node, host, control }) => [node, host, control])).toEqual([
      [0, 'h0', true],
      [1, 'h1', false],
    ])
    await sample.done('gang', '1', { rank: 0 }, { nodes })
    expect((await task.nodes()).map(({ artifacts }) => artifacts['rank'])).toEqual([0, 1])
    expect((await collect(task.logs({ node: 1 }))).map(({ process, text }) => [process, text])).toEqual([
      ['rank1', 'c'],
    ])
    expect((await collect(task.logs())).map(({ text }) => text)).toEqual(['a', 'b', 'c'])
    expect((await collect(task.logs({ follow: true }))).map(({ text }) => text).sort()).toEqual(['a', 'b', 'c'])
    expect((await task.tail(2)).map(({ text }) => text)).toEqual(['b', 'c'])
    expect(await task.attempts()[0]!.plans()).toEqual([{ node: 0, name: 'torchrun', plan: { argv: ['torchrun'] } }])
  })

  it('follows a task that was taken over to the run that it came from', async () => {
    const store = open()
    const first = await SampleRun.start(store, 'Train', '1')
    await first.task('start', '1')
    await first.attempt('start', '1', 0, ['printed in run 1'])
    await first.done('start', '1', { x: 1 })
    const second = await SampleRun.start(store, 'Train', '2', { origin: '1' })
    await second.task('start', '5', { origin: { run: '1', task: '1' } })
    await second.done('start', '5', { x: 1 })
    const task = new Client(store).run('Train/2').task('start')
    expect(task.origin).toEqual({ run: '1', task: '1' })
    expect((await collect(task.logs())).map(({ text }) => text)).toEqual(['printed in run 1'])
    expect(task.attempts()).toHaveLength(1)
  })
})
