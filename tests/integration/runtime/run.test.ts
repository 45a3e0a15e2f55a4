import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type RunOptions, resume, run } from '@gangflow/core'
import { describe, expect, it } from 'vitest'
import { artifact, collect, doneRecord, flow, leftOf, ofType, project, slack, temporary } from './support.js'

describe('a run of real bodies', () => {
  it('performs every construct, concurrently, and keeps what it made', async () => {
    const datastore = temporary()
    const notes = join(datastore, 'notes.txt')
    writeFileSync(notes, 'remember')
    const handle = run(flow('everything'), {
      datastore,
      maxWorkers: 3,
      tags: ['nightly'],
      parameters: { items: 2, notes },
    })
    const events = await collect(handle)
    const result = await handle.result
    expect(result.error).toBeUndefined()
    expect(result.status).toBe('done')
    const end = { flow: 'Everything', run: result.run, step: 'end', task: '1' }
    expect(artifact(datastore, end, 'result')).toEqual({
      pieces: ['a0@0', 'a1@1', 'b0@0', 'b1@1'],
      message: 'TypeError: caught on purpose',
      round: 3,
      notes: 'remember',
    })
    expect(
      ofType(events, 'task-done')
        .filter(({ step }) => step === 'turn')
        .map(({ task }) => task),
    ).toEqual(['1', '2', '3'])
    expect(ofType(events, 'task-failed').filter(({ retryInMs }) => retryInMs === 5).length).toBe(2)
    expect(ofType(events, 'line').map(({ text, process }) => `${process}: ${text}`)).toEqual([
      'body: round 3 of task 1',
    ])
    const order = events.map((event) => ('step' in event ? `${event.type} ${event.step}/${event.task}` : event.type))
    expect(order[0]).toBe('run-started')
    expect(order.indexOf('task-done meet/1')).toBeLessThan(order.indexOf('task-queued turn/1'))
    expect(order.at(-1)).toBe('run-ended')
    // A second reader, after the end, is told the same.
    expect(await collect(handle)).toEqual(events)
    expect(leftOf(result.run)).toEqual([])
  })

  it('refuses bad input before anything is started', async () => {
    const datastore = temporary()
    const refused = async (options: RunOptions, file = flow('everything')) => {
      const error = await run(file, { datastore, ...options }).result.then(String, (thrown) => thrown)
      return error as { code: string; message: string }
    }
    expect(await refused({ parameters: { itemz: 1 } })).toMatchObject({ code: 'E_PARAMETER_UNKNOWN' })
    expect(await refused({ parameters: { items: 'two' } })).toMatchObject({ code: 'E_PARAMETER_TYPE' })
    expect(await refused({ parameters: { notes: '/no/such/file' } })).toMatchObject({ code: 'E_PARAMETER_FILE' })
    expect(await refused({ maxWorkers: 0 })).toMatchObject({ code: 'E_OPTION' })
    expect(await refused({ backend: 'slurmm' })).toMatchObject({ code: 'E_BACKEND_UNKNOWN' })
    expect(await refused({ inspect: { step: 'nowhere' } })).toMatchObject({ code: 'E_STEP_UNKNOWN' })
    expect(await refused({}, '/no/such/flow.ts')).toMatchObject({ code: 'E_FLOW_FILE' })
    expect(await refused({}, flow('unjoined'))).toMatchObject({ code: 'E_FLOW_INVALID' })
    expect((await refused({}, flow('unjoined'))).message).toMatch(/unjoined\.ts:\d+/)
    expect(await refused({ signal: AbortSignal.abort() })).toMatchObject({ code: 'E_RUN_CANCELLED' })
  })
})

describe('a dry run', () => {
  it('tells what each step would be started with, masks secrets, starts nothing', async () => {
    const datastore = temporary()
    const env = { API_TOKEN: 'hush', LEVEL: 'debug' }
    const handle = run(flow('ganged'), { datastore, dryRun: true, env })
    const events = await collect(handle)
    const { plans, run: id, status } = await handle.result
    expect([id, status]).toEqual(['dry-run', 'done'])
    expect(ofType(events, 'plan').map(({ plan }) => plan)).toEqual(plans)
    expect(plans!.map(({ step, kind, size }) => [step, kind, size])).toEqual([
      ['start', 'task', undefined],
      ['many', 'gang', 3],
      ['join', 'task', undefined],
      ['some', 'gang', '<from the step>'],
      ['joinSome', 'task', undefined],
      ['end', 'task', undefined],
    ])
    expect(plans![0]!.environment).toEqual({ API_TOKEN: '***', LEVEL: 'debug' })
    expect(plans![1]!.request).toMatchObject({ backend: 'local', members: [{}, {}, {}] })
    expect(existsSync(join(datastore, 'records'))).toBe(false)
  })
})

describe('gangs in a run', () => {
  it('are one task each, joined in node order, resumed whole', async () => {
    const datastore = temporary()
    const handle = run(flow('ganged'), { datastore, parameters: { fail: true } })
    const events = await collect(handle)
    const first = await handle.result
    expect(first).toMatchObject({ status: 'failed', error: { step: 'joinSome' } })
    expect(ofType(events, 'task-done').filter(({ step }) => step === 'many').length).toBe(1)
    expect(artifact(datastore, { flow: 'Ganged', run: first.run, step: 'join', task: '1' }, 'nodes')).toEqual([
      0, 10, 20,
    ])
    const again = resume(flow('ganged'), { datastore, env: { MENDED: '1' } })
    const reused = ofType(await collect(again), 'task-reused').map(({ step }) => step)
    const second = await again.result
    expect(second.error).toBeUndefined()
    expect(reused).toEqual(['start', 'many', 'join', 'some'])
    expect(artifact(datastore, { flow: 'Ganged', run: second.run, step: 'end', task: '1' }, 'nodes')).toEqual([7, 8])
    expect(leftOf(first.run)).toEqual([])
    expect(leftOf(second.run)).toEqual([])
  })
})

describe('a run that fails', () => {
  const faulty = async (how: string) => {
    const datastore = temporary()
    const signs = join(datastore, 'signs')
    mkdirSync(signs)
    const handle = run(flow('faults'), { datastore, maxWorkers: 3, parameters: { how, signs } })
    const events = await collect(handle)
    return { datastore, signs, events, result: await handle.result }
  }

  it.each([
    ['throw', { cause: 'user', summary: /RangeError: item 1 is out of range/ }],
    ['exit', { cause: 'user', summary: /exit.*7|7.*exit/ }],
    ['kill', { cause: 'infrastructure', summary: /SIGKILL/ }],
    ['hang', { cause: 'timeout', summary: /1\.5|1500/ }],
    ['block', { cause: 'timeout', summary: /1\.5|1500/ }],
  ])('%s: names the task, ends the others, leaves nothing', async (how, expected) => {
    const { events, result } = await faulty(how)
    expect(result.status).toBe('failed')
    const [failed] = ofType(events, 'task-failed')
    expect(failed).toMatchObject({ step: 'item', verdict: { cause: expected.cause } })
    expect(failed!.verdict.summary).toMatch(expected.summary)
    if (expected.cause !== 'timeout') expect(failed!.task).toBe('2')
    expect(ofType(events, 'task-cancelled').length + ofType(events, 'task-failed').length).toBe(3)
    expect(result.error).toMatchObject({ step: 'item', what: failed!.verdict.summary })
    expect(leftOf(result.run)).toEqual([])
  })

  it('is resumed with the code as it is now: what was done is not done again', async () => {
    const datastore = temporary()
    const signs = join(datastore, 'signs')
    mkdirSync(signs)
    const file = join(project(), 'flow.ts')
    const source = (body: string) => `
      import { FlowSpec, step, type Inputs, parameter } from '@gangflow/core'
      export default class Fixable extends FlowSpec {
        readonly word = parameter.string({ default: 'old' })
        items = ['x', 'y']
        out!: string
        @step start() { this.next(this.item, { foreach: 'items' }) }
        @step item(item: string) { this.out = item + process.pid; this.next(this.join) }
        @step join(inputs: Inputs<Fixable, 'item'>) { ${body}; this.next(this.end) }
        @step end() {}
      }`
    writeFileSync(file, source(`throw new Error('a bug')`))
    const first = await run(file, { datastore, parameters: { word: 'kept' } }).result
    expect(first).toMatchObject({ status: 'failed', error: { location: { file } } })
    writeFileSync(file, source(`this.out = inputs.map((i) => i.out).join() + this.word`))
    const handle = resume(file, { datastore })
    const events = await collect(handle)
    const second = await handle.result
    expect(second.status).toBe('done')
    expect(ofType(events, 'task-reused').map(({ step }) => step)).toEqual(['start', 'item', 'item'])
    const out = (runId: string, step: string, task: string) =>
      artifact(datastore, { flow: 'Fixable', run: runId, step, task }, 'out')
    expect(out(second.run, 'end', '1')).toBe(`${out(first.run, 'item', '1')},${out(first.run, 'item', '2')}kept`)
    expect(doneRecord(datastore, { flow: 'Fixable', run: second.run, step: 'item', task: '2' })).toEqual(
      doneRecord(datastore, { flow: 'Fixable', run: first.run, step: 'item', task: '2' }),
    )
  })
})

describe('cancelling', () => {
  it('ends what runs by TERM; a second time by KILL', async () => {
    const datastore = temporary()
    const signs = join(datastore, 'signs')
    mkdirSync(signs)
    const handle = run(flow('faults'), { datastore, maxWorkers: 3, parameters: { how: 'stubborn', signs } })
    const running = new Set<string>()
    let began = 0
    for await (const event of handle.events) {
      if (event.type === 'task-started' && event.step === 'item') running.add(event.task)
      if (event.type === 'task-started' && running.size === 3 && began === 0) {
        began = performance.now()
        await new Promise((resolve) => setTimeout(resolve, 300))
        handle.cancel()
        await expect.poll(() => readSign(signs, 'term0'), { timeout: slack(2000) }).toBe('')
        handle.cancel()
      }
    }
    const result = await handle.result
    expect(result.status).toBe('cancelled')
    expect(performance.now() - began).toBeLessThan(slack(5000))
    expect(leftOf(result.run)).toEqual([])
  })
})

const readSign = (folder: string, name: string): string | undefined => {
  try {
    return readFileSync(join(folder, name), 'utf8')
  } catch {
    return undefined
  }
}
