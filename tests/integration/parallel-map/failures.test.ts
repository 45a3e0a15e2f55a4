import { runInNewContext } from 'node:vm'
import { ItemError, parallelMap, WorkerPool } from '@gangflow/core/parallel'
import { afterAll, describe, expect, it } from 'vitest'
import { slack } from './support.js'

const pool = new WorkerPool(2)
// From Node 24 on, V8 ends the whole program when a thread passes its heap: there a process is what bounds it.
const heapIsolation = Number(process.versions.node.split('.')[0]) >= 24 ? 'process' : 'thread'
afterAll(() => pool.close())

describe('an item that fails', () => {
  it('ends the map with its index, itself, and the stack of the function', async () => {
    const error: unknown = await parallelMap([{ id: 7 }, { id: 8 }], function check(item) {
      if (item.id === 8) throw Object.assign(new RangeError('too much'), { limit: 7 })
      return item.id
    }).catch((error: unknown) => error)
    expect(error).toBeInstanceOf(ItemError)
    expect(error).toMatchObject({ code: 'E_MAP_ITEM', index: 1, item: '{ id: 8 }' })
    const { message, cause, stack } = error as ItemError
    expect(message).toContain('item 1 ({ id: 8 }) failed: RangeError: too much')
    expect(cause).toBeInstanceOf(RangeError)
    expect(cause).toMatchObject({ message: 'too much', limit: 7 })
    expect(stack).toMatch(/at check \(.*failures\.test\.ts:\d+:\d+\)/)
    expect(stack).not.toMatch(/parallel\.js|worker eval/)
  })

  it('stops the others at once', async () => {
    const begun = performance.now()
    await expect(
      pool.map(
        Array.from({ length: 100 }, (_, index) => index),
        async (item) => {
          if (item === 3) throw new Error('no')
          await new Promise((resolve) => setTimeout(resolve, item < 2 ? 60_000 : 100))
        },
        { batch: 1, concurrency: 4 },
      ),
    ).rejects.toMatchObject({ index: 3 })
    expect(performance.now() - begun).toBeLessThan(2000 * slack)
    expect(await pool.map([1], (item) => item)).toEqual([1])
  })

  it('is one outcome among others where they are collected', async () => {
    const outcomes = await pool.map(
      [1, 2, 3],
      (item) => {
        if (item === 2) throw 'a text'
        return item
      },
      { onError: 'collect' },
    )
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(outcomes[1]).toMatchObject({ reason: { index: 1, cause: 'a text' } })
  })

  it('may throw anything', async () => {
    const thrown = [null, 0, 'text', { code: 5 }, ['a']]
    const outcomes = await pool.map(
      thrown,
      (each) => {
        throw each
      },
      { onError: 'collect' },
    )
    expect(outcomes.map((one) => (one as PromiseRejectedResult).reason.cause)).toEqual(thrown)
  })

  it('keeps the errors of several', async () => {
    const map = pool.map([1], () => Promise.any([1, 2].map((each) => Promise.reject(new TypeError(`no ${each}`)))))
    const { cause } = (await map.catch((error: unknown) => error)) as ItemError
    expect(cause).toBeInstanceOf(AggregateError)
    expect((cause as AggregateError).errors).toMatchObject([
      { name: 'TypeError', message: 'no 1' },
      { message: 'no 2' },
    ])
  })

  it('is named where it, or its result, cannot be sent', async () => {
    class Point {
      x = 1
    }
    await expect(pool.map([1, () => 2], (item) => item)).rejects.toMatchObject({ code: 'E_MAP_SEND', index: 1 })
    await expect(pool.map([1, new Point()], (item) => item)).rejects.toMatchObject({ code: 'E_MAP_SEND', index: 1 })
    // What cloning makes `{}` of.
    await expect(pool.map([new URL('https://a.b')], String)).rejects.toMatchObject({ code: 'E_MAP_SEND', index: 0 })
    await expect(pool.map([1], () => new URL('https://a.b'))).rejects.toMatchObject({ code: 'E_MAP_RESULT', index: 0 })
    await expect(pool.map([1, 2], (item) => (item === 2 ? () => 1 : 1))).rejects.toMatchObject({
      code: 'E_MAP_RESULT',
      index: 1,
    })
    await expect(pool.map([1, 2], (item) => (item === 2 ? { p: new Point() } : 1))).rejects.toMatchObject({
      code: 'E_MAP_RESULT',
      index: 1,
    })
    const outcomes = await pool.map([1, () => 2, 3], (item) => item, { onError: 'collect' })
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
  })

  it('is named where cloning would keep only what its class extends', async () => {
    class Counts extends Map<string, number> {
      total = 1
    }
    class Row extends Array<number> {}
    const sent = pool.map([new Counts([['a', 1]])], () => 1)
    await expect(sent).rejects.toMatchObject({ code: 'E_MAP_SEND', message: expect.stringContaining('of Counts') })
    await expect(pool.map([1], () => Row.of(1, 2))).rejects.toMatchObject({ code: 'E_MAP_RESULT', index: 0 })
    // Arrays of another realm are arrays.
    expect(await pool.map([runInNewContext('[1, 2]') as number[]], (row) => row.length)).toEqual([2])
  })

  it('may be something that throws when it is read', async () => {
    // A URL wants itself as `this`; Node's own way to show it fails too.
    const odd = [
      new Proxy(new URL('https://a.b'), {}),
      {
        get x() {
          throw new Error('no x')
        },
      },
    ]
    for (const item of odd)
      await expect(pool.map([1, item], (one) => one)).rejects.toMatchObject({ code: 'E_MAP_SEND', index: 1 })
    const [proxy] = odd as [URL]
    await expect(pool.map([1], () => proxy.href)).rejects.toMatchObject({
      code: 'E_MAP_CAPTURE',
      message: expect.stringContaining('proxy.href'),
    })
    expect(await pool.map([1], (item) => item)).toEqual([1])
  })
})

describe('a worker that dies', () => {
  it.each([
    ['exits', (item: number) => item === 5 && process.exit(3), /exited with code 3/],
    [
      'throws where nothing catches',
      (item: number) =>
        item === 5
          ? new Promise(() => {
              setTimeout(() => {
                throw new Error('stray')
              })
            })
          : item,
      /nothing caught: stray/,
    ],
    ['aborts', (item: number) => item === 5 && process.abort(), /./],
  ])('fails the item it held and is replaced: %s', async (_, fn, how) => {
    const items = Array.from({ length: 12 }, (_, index) => index)
    const outcomes = await pool.map(items, fn, { onError: 'collect' })
    expect(outcomes.map(({ status }) => status === 'rejected')).toEqual(items.map((item) => item === 5))
    const reason = (outcomes[5] as PromiseRejectedResult).reason as ItemError
    expect(reason).toMatchObject({ index: 5, code: expect.stringMatching(/E_MAP_(WORKER|ITEM)/) })
    expect(reason.message).toMatch(how)
    expect(await pool.map(items, (item) => item)).toEqual(items)
  })

  it('fails the item that needs more heap than there is', async () => {
    await expect(
      parallelMap(
        [1, 2, 3],
        (item) => {
          const kept: unknown[] = []
          while (item === 2) kept.push(new Array(1000).fill(item))
          return item
        },
        { workers: 2, heap: 32, isolation: heapIsolation },
      ),
    ).rejects.toMatchObject({
      code: 'E_MAP_WORKER',
      index: 1,
      what: expect.stringMatching(/ran out of memory|ended by SIG(?:ABRT|TRAP|ILL)/),
    })
  })
})

describe('limits', () => {
  it('ends an item that takes longer than its timeout, also in an endless loop', async () => {
    const outcomes = await pool.map(
      [1, 2, 3],
      (item) => {
        while (item === 2);
        return item
      },
      { timeout: 200, onError: 'collect' },
    )
    expect(outcomes[1]).toMatchObject({ reason: { code: 'E_MAP_TIMEOUT', index: 1 } })
    expect([outcomes[0], outcomes[2]]).toMatchObject([{ value: 1 }, { value: 3 }])
  })

  it('ends a map by its signal, with its reason, and leaves the pool whole', async () => {
    const controller = new AbortController()
    const map = pool.map(
      [1, 2, 3],
      () => {
        for (;;);
      },
      { signal: controller.signal },
    )
    setTimeout(() => controller.abort(new Error('enough')), 50)
    await expect(map).rejects.toThrow('enough')
    await expect(pool.map([1], (item) => item, { signal: controller.signal })).rejects.toThrow('enough')
    expect(await pool.map([1, 2], (item) => item)).toEqual([1, 2])
  })

  it('fails what was in work when the memory ceiling was passed', async () => {
    const own = new WorkerPool({ workers: 1, maxMemory: process.memoryUsage.rss() / 2 ** 20 + 150 })
    await expect(
      own.map([1], async () => {
        const kept: Uint8Array[] = []
        for (;;) {
          kept.push(new Uint8Array(10 << 20).fill(1))
          await new Promise((resolve) => setTimeout(resolve, 5))
        }
      }),
    ).rejects.toMatchObject({ code: 'E_MAP_MEMORY', index: 0 })
    await own.close()
  })
})
