import { describe, expect, it } from 'vitest'
import { random } from '../../../../tests/support/random.js'
import { readArtifact } from '../../src/datastore/artifacts/source.js'
import type { Datastore } from '../../src/datastore/contract.js'
import {
  type DoneRecord,
  keys,
  type RunEndRecord,
  type RunRecord,
  type TaskRecord,
} from '../../src/datastore/records.js'
import { GangflowError } from '../../src/errors/base.js'
import type { FlowDescription, StepDescription } from '../../src/flow/description.js'
import { collect, fakeServices, type Perform, start, temporaryStore } from './fake-services.js'
import { choose, describeFlow, interpret, itemRef, randomProgram, stepOf, toDescription } from './random-flow.js'

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** Bodies that go the ways that the random flow computes from where they are. */
function ways(description: FlowDescription, seed: number, before: () => Promise<unknown> = async () => {}): Perform {
  const steps = new Map(description.steps.map((step) => [step.name, step]))
  const visits = new Map<string, number>()
  const known = new Map<string, number>()
  return async (task) => {
    const path = task.frames.map((frame) => `/${frame.step}:${frame.index}`).join('')
    const place = `${task.address.step}@${path}`
    const key = `${task.address.step}/${task.address.task}`
    if (!known.has(key)) {
      visits.set(place, (visits.get(place) ?? 0) + 1)
      known.set(key, visits.get(place)!)
    }
    await before()
    return choose(seed, steps.get(task.address.step)!, path, known.get(key)!)
  }
}

const chain = (changes: Record<string, Partial<StepDescription>> = {}): FlowDescription =>
  describeFlow([
    { ...stepOf('start', { kind: 'foreach', target: 'fit', artifact: 'xs', reuse: false }), ...changes['start'] },
    { ...stepOf('fit', { kind: 'linear', target: 'join' }), ...changes['fit'] },
    { ...stepOf('join', { kind: 'linear', target: 'end' }, true), ...changes['join'] },
    { ...stepOf('end', { kind: 'end' }), ...changes['end'] },
  ])

const chainWays =
  (
    items: number,
    at: Readonly<Record<string, (task: string, attempt: number, stop: AbortSignal) => unknown>> = {},
  ): Perform =>
  async ({ address }, stop) => {
    await at[address.step]?.(address.task, address.attempt, stop)
    if (address.step === 'start')
      return { kind: 'foreach', target: 'fit', items: [...Array(items).keys()].map((index) => itemRef(index)) }
    if (address.step === 'end') return { kind: 'end' }
    return { kind: 'next', targets: [address.step === 'fit' ? 'join' : 'end'] }
  }

describe('a run', () => {
  it('runs random flows to their end, commits every task, and holds maxWorkers', async () => {
    for (let seed = 0; seed < 15; seed++) {
      const rand = random(seed)
      const program = randomProgram(rand)
      const description = toDescription(program)
      const store = temporaryStore()
      const { services, ran, running } = fakeServices(
        description,
        ways(description, seed, () => pause(rand() * 3)),
        store,
        3,
      )
      const handle = start(services)
      const events = await collect(handle)
      const result = await handle.result
      expect(result.status, `seed ${seed}: ${result.error?.what}`).toBe('done')
      const expected = interpret(program, seed).map(({ step }) => step)
      expect(ran.map((name) => name.split('/')[0]).sort()).toEqual(expected.sort())
      expect(running.most).toBeLessThanOrEqual(3)
      const done = (await store.listRecords(keys.tasks('Random', result.run), { depth: 3 })).filter((key) =>
        key.endsWith('/done'),
      )
      expect(done.length).toBe(expected.length)
      expect(events.filter(({ type }) => type === 'task-done').length).toBe(expected.length)
      expect(events.at(-1)?.type).toBe('run-ended')
    }
  })

  it('resumes random flows that failed anywhere, without running a finished task again', async () => {
    for (let seed = 0; seed < 15; seed++) {
      const rand = random(seed + 500)
      const program = randomProgram(rand)
      const description = toDescription(program)
      const store = temporaryStore()
      const total = interpret(program, seed).length
      let left = Math.floor(rand() * total)
      const perform = ways(description, seed, async () => {
        await pause(rand() * 2)
        if (left-- === 0) throw new Error('boom')
      })
      const first = fakeServices(description, perform, store, 3)
      const failed = await start(first.services).result
      expect(failed.status).toBe('failed')
      const finished = (await store.listRecords(keys.tasks('Random', failed.run), { depth: 3 })).filter((key) =>
        key.endsWith('/done'),
      ).length
      const second = fakeServices(description, perform, store, 3)
      const handle = start(second.services, { resume: {} })
      const events = await collect(handle)
      const result = await handle.result
      expect(result.status, `seed ${seed}: ${result.error?.what}`).toBe('done')
      expect(events.filter(({ type }) => type === 'task-reused').length).toBe(finished)
      expect(second.ran.length).toBe(total - finished)
      const record = (await store.readRecord(keys.run('Random', result.run))) as unknown as RunRecord
      expect(record.origin).toEqual({ run: failed.run })
    }
  })

  it('stops the others at the first failure, and tells them apart', async () => {
    const store = temporaryStore()
    const perform = chainWays(3, {
      fit: async (task, _, stop) => {
        if (task === '2') throw new Error('bad data in 2')
        await new Promise((resolve) => stop.addEventListener('abort', resolve))
      },
    })
    const { services } = fakeServices(chain(), perform, store)
    const handle = start(services)
    const events = await collect(handle)
    const result = await handle.result
    expect(result.status).toBe('failed')
    expect(result.error).toMatchObject({ what: 'bad data in 2', step: 'fit' })
    expect(events.filter(({ type }) => type === 'task-cancelled').length).toBe(2)
    expect(events.filter(({ type }) => type === 'task-failed').length).toBe(1)
    expect(events.find(({ type }) => type === 'stopping')).toMatchObject({ reason: "step 'fit' failed" })
    const end = (await store.readRecord(keys.end('Random', result.run))) as unknown as RunEndRecord
    expect(end).toMatchObject({ status: 'failed', failed: { step: 'fit', task: '2', attempt: 0 } })
    expect(
      await store.readRecord(
        keys.attemptFailed({ flow: 'Random', run: result.run, step: 'fit', task: '2', attempt: 0 }),
      ),
    ).toMatchObject({
      verdict: { cause: 'user', summary: 'bad data in 2' },
    })
  })

  it('tries again as often as the policy says, with the delay, while others go on', async () => {
    const store = temporaryStore()
    const perform = chainWays(2, {
      fit: (task, attempt) => {
        if (task === '1' && attempt < 2) throw new Error(`no ${attempt}`)
      },
    })
    const description = chain({ fit: { retry: { times: 2, delayMs: 20, backoff: 2 } } })
    const { services, ran } = fakeServices(description, perform, store)
    const handle = start(services)
    const events = await collect(handle)
    expect((await handle.result).status).toBe('done')
    expect(ran.filter((name) => name.startsWith('fit/1'))).toEqual(['fit/1/0', 'fit/1/1', 'fit/1/2'])
    expect(events.flatMap((event) => (event.type === 'task-failed' ? event.retryInMs : []))).toEqual([20, 40])
  })

  it('goes on after @catchError with the error as an artifact', async () => {
    const store = temporaryStore()
    const perform = chainWays(2, {
      fit: (task) => {
        if (task === '1') throw new Error('no luck')
      },
    })
    const description = chain({ fit: { catchError: { artifact: 'failure' } } })
    const { services } = fakeServices(description, perform, store)
    const handle = start(services)
    const events = await collect(handle)
    const result = await handle.result
    expect(result.status).toBe('done')
    expect(events.find((event) => event.type === 'task-done' && event.caught)).toMatchObject({ step: 'fit', task: '1' })
    const done = (await store.readRecord(
      keys.done({ flow: 'Random', run: result.run, step: 'fit', task: '1' }),
    )) as unknown as DoneRecord
    expect(done.caught?.summary).toBe('no luck')
    expect(done.transition).toEqual({ kind: 'next', targets: ['join'] })
    expect(readArtifact(store, done.artifacts['failure']!)).toMatchObject({
      message: 'no luck',
      step: 'fit',
      task: '1',
      attempts: 1,
    })
  })

  it('leaves a gang every CPU: bodies of what follows are started when it ends, once', async () => {
    const description = describeFlow([
      stepOf('start', { kind: 'gang', target: 'many', size: 3 }),
      { ...stepOf('many', { kind: 'linear', target: 'join' }), gang: {} },
      stepOf('join', { kind: 'linear', target: 'end' }, true),
      stepOf('end', { kind: 'end' }),
    ])
    const perform: Perform = async ({ address }) => {
      await pause(20)
      if (address.step === 'start') return { kind: 'gang', target: 'many', size: 3 }
      return address.step === 'end'
        ? { kind: 'end' }
        : { kind: 'next', targets: address.step === 'many' ? ['join'] : ['end'] }
    }
    const { services, order } = fakeServices(description, perform, temporaryStore())
    expect((await start(services).result).status).toBe('done')
    expect(order.slice(order.indexOf('many')).slice(0, 4)).toEqual(['many', 'many ends', 'prepare', 'prepare'])
    expect(order.filter((word) => word === 'prepare')).toHaveLength(3)
  })

  it('gives every member of a caught gang the error, and its join an input for each', async () => {
    const description = describeFlow([
      stepOf('start', { kind: 'gang', target: 'many', size: 3 }),
      { ...stepOf('many', { kind: 'linear', target: 'join' }), gang: {}, catchError: { artifact: 'failure' } },
      stepOf('join', { kind: 'linear', target: 'end' }, true),
      stepOf('end', { kind: 'end' }),
    ])
    const store = temporaryStore()
    const inputs: unknown[] = []
    const perform: Perform = ({ address, parents }) => {
      if (address.step === 'start') return { kind: 'gang', target: 'many', size: 3 }
      if (address.step === 'end') return { kind: 'end' }
      inputs.push(...parents)
      return { kind: 'next', targets: ['end'] }
    }
    const { services } = fakeServices(description, perform, store)
    const verdict = {
      version: 1,
      cause: 'user',
      summary: 'node 1 fell',
      echoes: [],
      stopped: [],
      author: 'control',
    } as const
    const result = await start({ ...services, runGang: async () => ({ ok: false, verdict }) }).result
    expect(result.status).toBe('done')
    expect(inputs).toEqual([0, 1, 2].map((node) => ({ step: 'many', task: '1', node })))
    const done = (await store.readRecord(
      keys.done({ flow: 'Random', run: result.run, step: 'many', task: '1' }),
    )) as unknown as DoneRecord
    expect(done.nodes!.map(({ control }) => control)).toEqual([true, false, false])
    for (const { artifacts } of done.nodes!)
      expect(readArtifact(store, artifacts['failure']!)).toMatchObject({ message: 'node 1 fell', step: 'many' })
  })

  it('has failed when its end cannot be written', async () => {
    const store = temporaryStore()
    const full = new GangflowError({ code: 'E_DATASTORE_FULL', what: 'no space is left' })
    const broken: Datastore = Object.assign(Object.create(store) as Datastore, {
      location: store.location,
      createRecord: (key: string, ...rest: [never]) =>
        /\/(join\/1\/done|end)$/.test(key) ? Promise.reject(full) : store.createRecord(key, ...rest),
    })
    for (const method of ['putBlob', 'putRecord', 'readRecord', 'listRecords', 'listChildren', 'scratch'] as const)
      Object.assign(broken, {
        [method]: (...args: never[]) => (store[method] as (...given: never[]) => unknown)(...args),
      })
    const handle = start(fakeServices(chain(), chainWays(2), broken).services)
    const events = await collect(handle)
    const result = await handle.result
    expect(result).toMatchObject({
      status: 'failed',
      error: { code: 'E_DATASTORE_FULL', verdict: { cause: 'infrastructure' } },
    })
    expect(events.at(-1)).toMatchObject({ type: 'run-ended', result: { status: 'failed' } })
  })

  it('is cancelled by its signal and by its handle; a task that ends meanwhile is kept', async () => {
    for (const how of ['signal', 'handle']) {
      const store = temporaryStore()
      const controller = new AbortController()
      const perform = chainWays(2, {
        fit: (_, __, stop) => new Promise((resolve) => stop.addEventListener('abort', resolve)),
      })
      const { services } = fakeServices(chain(), perform, store)
      const handle = start(services, {}, controller.signal)
      for await (const event of handle.events)
        if (event.type === 'task-started' && event.step === 'fit') {
          if (how === 'signal') controller.abort()
          else handle.cancel('no longer needed')
        }
      const result = await handle.result
      expect(result.status).toBe('cancelled')
      expect(await store.readRecord(keys.end('Random', result.run))).toMatchObject({ status: 'cancelled' })
      const again = fakeServices(chain(), chainWays(2), store)
      expect((await start(again.services, { resume: {} }).result).status).toBe('done')
      expect(again.ran.some((name) => name.startsWith('start'))).toBe(false)
    }
  })

  it('ends at its own timeout', async () => {
    const perform = chainWays(1, {
      fit: (_, __, stop) => new Promise((resolve) => stop.addEventListener('abort', resolve)),
    })
    const { services } = fakeServices(chain(), perform, temporaryStore())
    const handle = start(services, { timeoutMs: 50 })
    const events = await collect(handle)
    const error = { code: 'E_RUN_TIMEOUT', verdict: { cause: 'timeout' } }
    expect(await handle.result).toMatchObject({ status: 'failed', error })
    // The step itself did nothing wrong.
    expect(events.filter(({ type }) => type === 'task-failed')).toEqual([])
    expect(events.filter(({ type }) => type === 'task-cancelled').length).toBe(1)
  })

  it('refuses a way that the graph does not have as the step’s failure', async () => {
    const { services } = fakeServices(chain(), chainWays(0), temporaryStore())
    const result = await start(services).result
    expect(result).toMatchObject({ status: 'failed', error: { code: 'E_FOREACH_EMPTY', step: 'start' } })
  })

  it('runs what asks for more than there is alone, and shares CPUs among the others', async () => {
    const store = temporaryStore()
    const now = new Map<string, number>()
    const perform = chainWays(6, {
      fit: async () => {
        now.set('fit', (now.get('fit') ?? 0) + 1)
        now.set('most', Math.max(now.get('most') ?? 0, now.get('fit')!))
        await pause(5)
        now.set('fit', now.get('fit')! - 1)
      },
    })
    for (const [cpu, most] of [
      [2, 2],
      [99, 1],
    ] as const) {
      now.clear()
      const { services } = fakeServices(chain({ fit: { resources: { cpu } } }), perform, store, 6)
      expect((await start(services).result).status).toBe('done')
      expect(now.get('most')).toBe(most)
    }
  })
})

describe('resume', () => {
  const failing = () => chainWays(3, { join: () => Promise.reject(new Error('not yet')) })

  it('names what there is when asked for what is not', async () => {
    const store = temporaryStore()
    const services = () => fakeServices(chain(), chainWays(1), store).services
    await expect(start(services(), { resume: {} }).result).rejects.toThrow(/no run to resume/)
    const { run } = await start(services()).result
    await expect(start(services(), { resume: { origin: '12' } }).result).rejects.toThrow(
      new RegExp(`no run '12'[\\s\\S]*${run}`),
    )
    await expect(start(services(), { resume: { from: 'fitt' } }).result).rejects.toThrow(
      /no step 'fitt'[\s\S]*start, fit, join, end/,
    )
    await expect(start(services(), { resume: {} }).result).rejects.toThrow(/is done/)
    await expect(start(services(), { resume: {} }).id).rejects.toThrow(/is done/)
  })

  it('begins again from a named step', async () => {
    const store = temporaryStore()
    await start(fakeServices(chain(), chainWays(3), store).services).result
    const { services, ran } = fakeServices(chain(), chainWays(3), store)
    expect((await start(services, { resume: { from: 'fit' } }).result).status).toBe('done')
    expect(ran.sort()).toEqual(['end/1/0', 'fit/1/0', 'fit/2/0', 'fit/3/0', 'join/1/0'])
  })

  it('keeps the place of the first origin through several resumes', async () => {
    const store = temporaryStore()
    const first = await start(fakeServices(chain(), failing(), store).services).result
    const second = await start(fakeServices(chain(), failing(), store).services, { resume: {} }).result
    expect(second.status).toBe('failed')
    const third = await start(fakeServices(chain(), chainWays(3), store).services, { resume: {} }).result
    expect(third.status).toBe('done')
    const spec = (await store.readRecord(
      keys.task({ flow: 'Random', run: third.run, step: 'fit', task: '2' }),
    )) as unknown as TaskRecord
    expect(spec.origin).toEqual({ run: first.run, task: '2' })
  })

  it('refuses a run whose launcher lives', async () => {
    const store = temporaryStore()
    const perform = chainWays(1, {
      fit: (_, __, stop) => new Promise((resolve) => stop.addEventListener('abort', resolve)),
    })
    const handle = start(fakeServices(chain(), perform, store).services)
    const run = await handle.id
    await expect(start(fakeServices(chain(), chainWays(1), store).services, { resume: {} }).result).rejects.toThrow(
      new RegExp(`${run} is still running: process ${process.pid}`),
    )
    handle.cancel()
    await handle.result
  })
})
