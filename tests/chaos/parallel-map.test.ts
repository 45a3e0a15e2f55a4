import { readdirSync } from 'node:fs'
import { ItemError, parallelMap, WorkerPool } from '@gangflow/core/parallel'
import { afterAll, describe, expect, it } from 'vitest'
import { random as seeded } from '../support/random.js'

/** Seeded runs of all kinds at once: each has every result in place, or the right error; nothing is left of them. */
const runs = Number(process.env['GANGFLOW_CHAOS_RUNS'] ?? 1000)
const strays: unknown[] = []
const stray = (reason: unknown): void => {
  strays.push(reason)
}
process.on('unhandledRejection', stray)
afterAll(() => process.off('unhandledRejection', stray))

type Act = 'give' | 'throw' | 'die' | 'wait' | 'spin' | 'nest' | 'hang'
interface Item {
  readonly index: number
  readonly act: Act
}

async function perform({ index, act }: Item): Promise<number> {
  switch (act) {
    case 'throw':
      throw new RangeError(`no ${index}`)
    case 'die':
      process.exit(7)
      break
    case 'wait':
      await new Promise((resolve) => setTimeout(resolve, index % 4))
      break
    case 'spin':
      for (const until = performance.now() + (index % 3); performance.now() < until; );
      break
    case 'nest':
      return (await parallelMap([index, index], (each) => each)).reduce((sum, each) => sum + each)
    case 'hang':
      for (;;);
  }
  return index * 2
}

const acts = ['give', 'throw', 'die', 'wait', 'spin', 'nest', 'hang'] as const
const codeOf = ({ index, act }: Item): number => index * acts.length + acts.indexOf(act)

/** The same for an item that is a number: such ones lie in shared memory, and workers claim them by themselves. */
function performCode(code: number): number | Promise<number> {
  const item = { index: Math.floor(code / acts.length), act: acts[code % acts.length]! }
  // Without a promise, results lie in shared memory too.
  return item.act === 'give' ? item.index * 2 : perform(item)
}

const deadly = new Set<Act>(['throw', 'die', 'hang'])

function itemsOf(random: () => number, most: number): Item[] {
  const size = Math.floor(random() ** 4 * most)
  // Most runs have none of those that cost a worker.
  const dies = random() < 0.05 ? 0.03 : 0
  const hangs = random() < 0.01 ? 0.02 : 0
  const throws = random() < 0.3 ? 0.03 : 0
  return Array.from({ length: size }, (_, index) => {
    const draw = random()
    if (draw < dies) return { index, act: 'die' }
    if (draw < dies + hangs) return { index, act: 'hang' }
    if (draw < dies + hangs + throws) return { index, act: 'throw' }
    return { index, act: draw > 0.98 ? 'nest' : draw > 0.9 ? 'wait' : draw > 0.87 ? 'spin' : 'give' }
  })
}

async function oneRun(pool: WorkerPool<undefined>, seed: number): Promise<string> {
  const random = seeded(seed)
  const coded = random() < 0.5
  const items = itemsOf(random, coded ? 1000 : 250)
  const collect = random() < 0.4
  const concurrency = random() < 0.3 ? 4 : 1
  const form = (['map', 'iter', 'unordered'] as const)[Math.floor(random() * 3)]!
  const signal = random() < 0.1 ? AbortSignal.timeout(Math.floor(random() * 20)) : undefined
  const leaves = form !== 'map' && random() < 0.1 ? Math.floor(random() * items.length) : undefined
  const options = {
    concurrency,
    onError: collect ? ('collect' as const) : ('stop' as const),
    ...(random() < 0.2 && { batch: 1 + Math.floor(random() * 20) }),
    ...(items.some(({ act }) => act === 'hang') && { timeout: 300 }),
    ...(signal && { signal }),
  }
  const given = coded ? items.map(codeOf) : items
  const input = (random() < 0.3 ? stream<unknown>(given) : given) as readonly Item[]
  const fn = (coded ? performCode : perform) as typeof perform
  const results: unknown[] = []
  try {
    if (form === 'map') results.push(...(await pool.map(input, fn, options)))
    else {
      for await (const result of pool[form](input, fn, options)) {
        results.push(result)
        if (results.length - 1 === leaves) return 'left'
      }
    }
  } catch (error) {
    if (signal?.aborted && error === signal.reason) return 'aborted'
    expect(error).toBeInstanceOf(ItemError)
    const { index } = error as ItemError
    expect(collect).toBe(false)
    expect(items.some(({ act }) => deadly.has(act))).toBe(true)
    expectFailure(items[index]!, error)
    return 'failed'
  }
  expect(results.length).toBe(items.length)
  if (form === 'unordered' && !collect) {
    expect(new Set(results).size).toBe(items.length)
    return 'done'
  }
  if (form === 'unordered') return 'done'
  for (const [index, result] of results.entries()) {
    const item = items[index]!
    if (!collect) expect(result).toBe(index * 2)
    else if ((result as PromiseSettledResult<number>).status === 'fulfilled')
      expect([result, deadly.has(item.act)]).toEqual([{ status: 'fulfilled', value: index * 2 }, false])
    else {
      const { reason } = result as PromiseRejectedResult
      expect(reason.index).toBe(index)
      expectFailure(item, reason)
    }
  }
  return 'done'
}

function expectFailure({ act, index }: Item, error: unknown): void {
  const codes = { throw: ['E_MAP_ITEM'], die: ['E_MAP_WORKER'], hang: ['E_MAP_TIMEOUT'] }
  expect([act, index]).toEqual([act, (error as ItemError).index])
  expect((codes as Partial<Record<Act, string[]>>)[act] ?? []).toContain((error as ItemError).code)
}

async function* stream<T>(items: readonly T[]): AsyncGenerator<T> {
  for (const [index, item] of items.entries()) {
    if (index % 50 === 49) await new Promise((resolve) => setTimeout(resolve, 1))
    yield item
  }
}

describe('maps under chaos', () => {
  it(`${runs} seeded runs have each result in place or the right error`, { timeout: 600_000 }, async () => {
    const threads = readdirSync('/proc/self/task').length
    const pool = new WorkerPool(3)
    const ends = new Map<string, number>()
    let seed = 0
    const lane = async (): Promise<void> => {
      while (seed < runs) {
        const mine = seed++
        try {
          const end = await oneRun(pool, mine)
          ends.set(end, (ends.get(end) ?? 0) + 1)
        } catch (error) {
          throw new Error(`seed ${mine}`, { cause: error })
        }
      }
    }
    // Several at once: they share the workers.
    await Promise.all([lane(), lane(), lane()])
    await pool.close()
    expect([...ends.keys()].sort()).toEqual(['aborted', 'done', 'failed', 'left'])
    expect(strays).toEqual([])
    // Each worker was a thread of this process; those of V8 and libuv stay.
    await expect.poll(() => readdirSync('/proc/self/task').length).toBeLessThanOrEqual(threads + 6)
  })
})
