import { parallelMap, shared, WorkerPool } from '@gangflow/core/parallel'
import { afterAll, describe, expect, it } from 'vitest'
import { slack } from './support.js'

const pool = new WorkerPool(2)
afterAll(() => pool.close())

describe('a map', () => {
  it('gives the results in the order of the items, whatever they cost', async () => {
    const items = Array.from({ length: 300 }, (_, index) => index)
    const results = await parallelMap(
      items,
      (item) => {
        const until = performance.now() + (item % 7)
        while (performance.now() < until);
        return item * 2
      },
      { workers: 2 },
    )
    expect(results).toEqual(items.map((item) => item * 2))
  })

  it('keeps numbers, texts, records, vectors and what else can be cloned as they are', async () => {
    const rows: unknown[][] = [
      [0, -0, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 60],
      ['a', '', 'ä😀'],
      Array.from({ length: 20 }, (_, index) => ({ id: index, name: `n${index}`, tags: ['x', index], none: undefined })),
      Array.from({ length: 20 }, (_, index) => [index, index / 3, -0]),
      Array.from({ length: 20 }, (_, index) => (index % 2 ? { a: 1 } : { b: 2 })),
      Array.from({ length: 20 }, (_, index) => (index === 13 ? { id: 1 } : { id: 1, extra: 2 })),
      [new Map([[1, { a: new Set([1]) }]]), new Date(5), /x/g, 10n, null, true, undefined],
      [new Float32Array([1, 2]), new Uint8Array(4).subarray(1, 3), new Float64Array(0)],
    ]
    for (const row of rows) expect(await pool.map(row, (item) => item)).toEqual(row)
  })

  it('takes any iterable, also an endless one that its reader leaves', async () => {
    expect(await pool.map(new Set([3, 1]), (item) => item + 1)).toEqual([4, 2])
    expect(await pool.map('abc', (item) => item.toUpperCase())).toEqual(['A', 'B', 'C'])
    expect(await pool.map(new Float64Array([1, 2]), (item) => item * 2)).toEqual([2, 4])
    expect(await pool.map([], (item) => item)).toEqual([])
    let taken = 0
    let closed = false
    const endless = (function* () {
      try {
        for (;;) yield taken++
      } finally {
        closed = true
      }
    })()
    const seen: number[] = []
    for await (const result of pool.iter(endless, (item) => item * 10, { ahead: 5 })) {
      seen.push(result)
      expect(taken).toBeLessThanOrEqual(seen.length + 5)
      if (seen.length === 40) break
    }
    expect(seen).toEqual(Array.from({ length: 40 }, (_, index) => index * 10))
    expect(closed).toBe(true)
  })

  it('reads an async input no further than it must', async () => {
    const input = (async function* () {
      for (let index = 0; index < 50; index++) {
        if (index % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 2))
        yield index
      }
    })()
    expect(await pool.map(input, (item) => item + 1)).toEqual(Array.from({ length: 50 }, (_, index) => index + 1))
    const failing = (async function* () {
      yield 1
      throw new RangeError('the input broke')
    })()
    await expect(pool.map(failing, (item) => item)).rejects.toThrow(new RangeError('the input broke'))
  })

  it('takes an input that keeps to no rules for what it is', async () => {
    const next = (): never => 5 as never
    for (const broken of [{ [Symbol.iterator]: () => ({ next }) }, { [Symbol.asyncIterator]: () => ({ next }) }])
      await expect(pool.map(broken as Iterable<number>, (item) => item)).rejects.toThrow(TypeError)
    let at = 0
    const leave = (): never => {
      throw new Error('no end')
    }
    const counting = { next: async () => ({ done: false as const, value: at++ }), return: leave }
    for await (const each of pool.iter({ [Symbol.asyncIterator]: () => counting }, (item) => item))
      if (each === 3) break
  })

  it('gives results as they come where order does not matter', async () => {
    const order: number[] = []
    for await (const item of pool.unordered(
      [300, 1, 2, 3],
      async (ms) => {
        await new Promise((resolve) => setTimeout(resolve, ms))
        return ms
      },
      { batch: 1 },
    ))
      order.push(item)
    expect(order.at(-1)).toBe(300)
    expect(order.slice().sort((a, b) => a - b)).toEqual([1, 2, 3, 300])
  })

  it('has several items of an async function in work in each worker', async () => {
    const begun = performance.now()
    await pool.map(Array.from({ length: 64 }), () => new Promise((resolve) => setTimeout(resolve, 100)), {
      concurrency: 32,
      batch: 32,
    })
    expect(performance.now() - begun).toBeLessThan(2000 * slack)
  })

  it('does not let one worker wait for another that has a long batch', async () => {
    const begun = performance.now()
    await pool.map(
      Array.from({ length: 200 }, (_, index) => (index < 100 ? 0.01 : 8)),
      (ms) => {
        const until = performance.now() + ms
        while (performance.now() < until);
      },
    )
    // 800 ms of work for two.
    expect(performance.now() - begun).toBeLessThan(790 * slack)
  })

  it('runs several maps at once on the same workers', async () => {
    const maps = Array.from({ length: 6 }, (_, map) =>
      pool.map(
        Array.from({ length: 50 }, (_, index) => index),
        (item) => item + map,
      ),
    )
    for (const [map, results] of (await Promise.all(maps)).entries())
      expect(results).toEqual(Array.from({ length: 50 }, (_, index) => index + map))
  })
})

describe('what is wrong before anything starts', () => {
  it.each([
    ['items that cannot be iterated', () => pool.map({} as never, (item) => item), 'E_MAP_ITEMS'],
    ['null items', () => pool.map(null as never, (item) => item), 'E_MAP_ITEMS'],
    ['no function', () => pool.map([1], 'x' as never), 'E_MAP_OPTION'],
    ['an unknown option', () => pool.map([1], (item) => item, { chunksize: 3 } as never), 'E_MAP_OPTION'],
    ['a batch of 0', () => pool.map([1], (item) => item, { batch: 0 }), 'E_MAP_OPTION'],
    ['a strange timeout', () => pool.map([1], (item) => item, { timeout: 'soon' }), 'E_DURATION'],
    ['no workers', () => parallelMap([1], (item) => item, { workers: 0 }), 'E_MAP_OPTION'],
    ['no object of options', () => parallelMap([1], (item) => item, 4 as never), 'E_MAP_OPTION'],
    ['no array to share', () => Promise.resolve(shared.from([1, 2] as never)), 'E_MAP_OPTION'],
    ['more than can be shared', () => Promise.resolve(shared.float64(2 ** 46)), 'E_MAP_OPTION'],
    ['a strange isolation', () => parallelMap([1], (item) => item, { isolation: 'vm' as never }), 'E_MAP_OPTION'],
  ])('%s', async (_, begin, code) => {
    await expect((async () => begin())()).rejects.toMatchObject({ code })
  })
})
