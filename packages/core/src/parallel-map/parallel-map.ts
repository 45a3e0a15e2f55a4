import { type AnyFunction, mapAll, mapLazily } from './begin-map.js'
import type { Items, MapFunction, ParallelIterOptions, ParallelMapOptions } from './contract.js'
import { withCrew } from './default-crew.js'
import { checkNames, poolSettings } from './options.js'
import { runsHere, WorkerPool } from './pool.js'

type Collected<O, R> = O extends { readonly onError: 'collect' } ? PromiseSettledResult<Awaited<R>> : Awaited<R>
/** With `init`, the third argument of the function has its state. */
type StateOf<O> = O extends { readonly init: (...args: never) => infer S } ? Awaited<S> : undefined

export interface ParallelMap {
  /**
   * Maps items by a function on all cores; resolves with the results in the order of the items.
   *
   * ```ts
   * const sums = await parallelMap(rows, (row) => sum(row))
   * ```
   *
   * The function is sent with the variables that it uses: they are read-only there, typed arrays are copied once into
   * shared memory, those of `shared.*` not at all. What cannot be sent is refused before anything starts
   * (`E_MAP_CAPTURE`, `E_MAP_READONLY`). The first item that fails ends the map: it rejects with an `ItemError` once
   * nothing of it runs any more. A worker that dies is replaced; what it had not begun is done by others, and items of
   * its batch whose results had not come back may be done twice.
   *
   * Without `init`, workers stay warm for five seconds for the next map; they keep nothing else alive.
   */
  <T, R, const O extends ParallelMapOptions<unknown> = ParallelMapOptions<undefined>>(
    items: Items<T>,
    fn: MapFunction<T, R, StateOf<O>>,
    options?: O,
  ): Promise<Collected<O, R>[]>
  /** Results in the order of the items, as they are read: no more than `ahead` items are taken before. */
  iter<T, R, const O extends ParallelIterOptions<unknown> = ParallelIterOptions<undefined>>(
    items: Items<T>,
    fn: MapFunction<T, R, StateOf<O>>,
    options?: O,
  ): AsyncGenerator<Collected<O, R>, void, undefined>
  /** Results as they come. */
  unordered<T, R, const O extends ParallelIterOptions<unknown> = ParallelIterOptions<undefined>>(
    items: Items<T>,
    fn: MapFunction<T, R, StateOf<O>>,
    options?: O,
  ): AsyncGenerator<Collected<O, R>, void, undefined>
}

export const parallelMap: ParallelMap = Object.assign(
  async (items: Items<unknown>, fn: unknown, options: ParallelMapOptions<unknown> = {}) => {
    const { pool, map } = split(options)
    if (pool.init || runsHere(map)) {
      await using own = new WorkerPool(pool)
      return (await own.map(items, fn as never, map)) as never
    }
    return (await withCrew(poolSettings(pool), (crew) => mapAll(crew, items, fn as AnyFunction, map))) as never
  },
  {
    iter: (items: Items<unknown>, fn: unknown, options = {}) =>
      lazily(items, fn as AnyFunction, options, true) as never,
    unordered: (items: Items<unknown>, fn: unknown, options = {}) =>
      lazily(items, fn as AnyFunction, options, false) as never,
  },
)

async function* lazily(
  items: Items<unknown>,
  fn: AnyFunction,
  options: ParallelIterOptions<unknown>,
  ordered: boolean,
): AsyncGenerator<unknown, void, undefined> {
  const { pool, map } = split(options)
  if (pool.init || runsHere(map)) {
    await using own = new WorkerPool(pool)
    yield* ordered ? own.iter(items, fn as never, map) : own.unordered(items, fn as never, map)
    return
  }
  let left!: () => void
  const reading = new Promise<void>((resolve) => (left = resolve))
  try {
    const crew = await new Promise<Parameters<Parameters<typeof withCrew>[1]>[0]>((resolve, reject) => {
      withCrew(poolSettings(pool), async (each) => {
        resolve(each)
        await reading
      }).catch(reject)
    })
    yield* mapLazily(crew, items, fn, map, ordered)
  } finally {
    left()
  }
}

/** Which of the options make the workers, and which the map. */
function split(options: ParallelIterOptions<unknown>) {
  checkNames(options, 'both')
  const { workers, isolation, init, heap, maxMemory, ...map } = options
  const pool = { workers, isolation, init, heap, maxMemory }
  const given = Object.fromEntries(Object.entries(pool).filter(([, value]) => value !== undefined))
  return { pool: given as Partial<typeof pool> & object, map }
}
