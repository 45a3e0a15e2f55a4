import { type ItemError, shared, WorkerPool } from '@gangflow/core/parallel'
import { afterAll, describe, expect, it } from 'vitest'

const pool = new WorkerPool(3)
afterAll(() => pool.close())
const numbers = (length: number): number[] => Array.from({ length }, (_, index) => index)

describe('numbers, which workers claim in shared memory', () => {
  it('give all results in order: numbers, other values, promises, and any mixture', async () => {
    const items = numbers(20_000)
    expect(await pool.map(items, (item, index) => item / 3 + index)).toEqual(items.map((item) => item / 3 + item))
    const mixed = (item: number): unknown => (item % 3 === 0 ? -item : item % 3 === 1 ? `${item}` : { item })
    expect(await pool.map(items, mixed)).toEqual(items.map(mixed))
    const few = items.slice(0, 600)
    const later = await pool.map(few, async (item) => (item % 2 ? item : [item]), { concurrency: 7 })
    expect(later).toEqual(few.map((item) => (item % 2 ? item : [item])))
    expect(await pool.map([-0, Number.NaN, 0.1, 5], (item) => item)).toEqual([-0, Number.NaN, 0.1, 5])
    expect(await pool.map([1, 2, 'three', 4], (item) => item)).toEqual([1, 2, 'three', 4])
    expect(await pool.map(few, (item) => item, { batch: 7 })).toEqual(few)
  })

  it('may be typed arrays, and are left as they were', async () => {
    for (const items of [
      shared.from(new Int16Array([3, -2, 1])),
      shared.from(new Float32Array([0.5, 2])),
      shared.from(new Float64Array([1.5, 2, 3])).subarray(1),
      new Uint8Array([1, 255]),
    ]) {
      const before = [...items]
      expect(await pool.map(items as Iterable<number>, (item) => item * 2)).toEqual(before.map((item) => item * 2))
      expect([...items]).toEqual(before)
    }
    expect(await pool.map(new BigInt64Array([1n, 2n]), (item) => item * 2n)).toEqual([2n, 4n])
  })

  it('are more than one segment holds, and come back in order', async () => {
    const items = new Float64Array((1 << 22) + 1000).fill(2)
    items[items.length - 1] = 7
    const results = await pool.map(items, (item) => item * 2)
    expect([results.length, results[0], results.at(-2), results.at(-1)]).toEqual([items.length, 4, 4, 14])
    expect(results.every((result, index) => result === items[index]! * 2)).toBe(true)
  })

  it('fail one by one, and none is lost with a worker that dies', async () => {
    const outcomes = await pool.map(
      numbers(3000),
      (item) => {
        if (item % 1000 === 500) process.exit(3)
        if (item % 1000 === 700) throw new RangeError('no')
        return item
      },
      { onError: 'collect' },
    )
    const failed = outcomes.flatMap((outcome, index) => (outcome.status === 'rejected' ? [index] : []))
    expect(failed).toEqual([500, 700, 1500, 1700, 2500, 2700])
    expect(
      failed.map((index) => ((outcomes[index] as PromiseRejectedResult).reason as ItemError).code).slice(0, 2),
    ).toEqual(['E_MAP_WORKER', 'E_MAP_ITEM'])
    expect(outcomes.every((outcome, index) => outcome.status === 'rejected' || outcome.value === index)).toBe(true)
    await expect(pool.map(numbers(5000), (item) => (item === 4321 ? Promise.reject(item) : item))).rejects.toThrow(
      /item 4321/,
    )
  })

  it('are given back by a worker whose range turns out long', async () => {
    const workers = shared.int32(3)
    const spin = (item: number, _index: number, { worker }: { worker: number }): void => {
      if (item < 4000) return
      Atomics.add(workers, worker, 1)
      for (const until = performance.now() + 10; performance.now() < until; );
    }
    await pool.map(numbers(4060), spin)
    expect(Math.max(...workers)).toBeLessThan(58)
  })
})

describe('texts and plain data handed out few at a time, which workers claim as well', () => {
  it('come and go as they are', async () => {
    const kinds: Record<string, (index: number) => unknown> = {
      texts: (index) => `item ${index} é`,
      wide: (index) => (index % 3 ? `日本${index}\ud800` : ''),
      records: (id) => ({ id, name: `n${id}`, score: id / 3 }),
      nested: (index) => ({ a: [index, { b: `x${index}` }], on: index % 2 === 0, none: undefined, z: -0 }),
      vectors: (index) => [index, Number.NaN, -0],
      // biome-ignore lint/suspicious/noSparseArray: a hole is no undefined
      holes: (index) => (index % 2 ? [index, , 3] : [index, 2, 3]),
      mixed: (index) => [null, undefined, true, 'x', 10n, new Date(index)][index % 6],
      large: (index) => 'x'.repeat(index === 50 ? 10_000 : 5),
    }
    for (const [kind, make] of Object.entries(kinds)) {
      const items = numbers(5000).map(make)
      expect(await pool.map(items, (item) => item, { batch: kind.length }), kind).toStrictEqual(items)
    }
    const one = { v: 1 }
    expect(
      await pool.map(
        [
          { a: one, b: one },
          { a: one, b: {} },
        ],
        ({ a, b }) => a === b,
        { batch: 1 },
      ),
    ).toEqual([...[true, false]])
    const odd = pool.map(['a', 'b', (() => 1) as never], (item) => item, { batch: 1 })
    await expect(odd).rejects.toMatchObject({ code: 'E_MAP_SEND', index: 2 })
  })

  it('are done by others where a worker dies', async () => {
    const act = ({ index }: { index: number; name: string }): number => (index === 700 ? process.exit(3) : index)
    const items = numbers(1500).map((index) => ({ index, name: `n${index}` }))
    const outcomes = await pool.map(items, act, { onError: 'collect', batch: 2 })
    expect(outcomes.flatMap(({ status }, index) => (status === 'rejected' ? [index] : []))).toEqual([700])
    expect(outcomes.every((one, index) => one.status === 'rejected' || one.value === index)).toBe(true)
  })
})
