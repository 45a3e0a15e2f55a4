import { GangflowError } from '../errors/base.js'
import { type AnyFunction, checkFunction, mapAll, mapLazily } from './begin-map.js'
import { capture } from './capture/capture.js'
import type { Items, IterOptions, MapFunction, MapOptions, PoolOptions } from './contract.js'
import { Crew } from './crew/crew.js'
import { initFailed } from './crew/failures.js'
import { checkNames, type PoolSettings, poolSettings } from './options.js'
import { mapSerially } from './serial.js'
import { inWorker } from './worker/in-worker.js'

type Collected<O, R> = O extends { readonly onError: 'collect' } ? PromiseSettledResult<Awaited<R>> : Awaited<R>

/**
 * Workers that stay: started at first use (or by `warm`), reused by every map, replaced when they die. Several maps may
 * run at once and share them. A pool that is idle does not keep the program alive.
 *
 * ```ts
 * await using pool = new WorkerPool({ workers: 4, init: () => loadModel() })
 * const labels = await pool.map(texts, (text, _index, { state: model }) => model.label(text))
 * ```
 */
export class WorkerPool<S = undefined> {
  readonly #options: PoolOptions<S>
  #settings: PoolSettings
  #crew: Promise<Crew> | undefined
  #started: Crew | undefined
  #running = new Set<Promise<unknown>>()
  #closed = false
  /** For maps that run in this thread. */
  #state: Promise<S> | undefined

  /** A number is `{ workers }`. Throws `E_MAP_OPTION`. */
  constructor(options: number | PoolOptions<S> = {}) {
    this.#options = typeof options === 'number' ? { workers: options } : options
    checkNames(this.#options, 'pool')
    this.#settings = poolSettings(this.#options as PoolOptions)
  }

  /** How many workers there are at most. */
  get size(): number {
    return this.#settings.workers
  }

  /** Starts all workers and runs their `init` now. Rejects with `E_POOL_INIT`, `E_POOL_START`. */
  async warm(): Promise<this> {
    const crew = await this.#open()
    crew.warm()
    await crew.ready()
    return this
  }

  /** Another number of workers: more start with the next map, fewer end when their items are done. */
  resize(workers: number): void {
    this.#settings = { ...this.#settings, workers: poolSettings({ workers }).workers }
    this.#started?.resize(this.#settings.workers)
  }

  /** All results, in the order of the items. The function may come first, as in Python's `Pool.map`. */
  map<T, R, const O extends MapOptions = MapOptions>(
    items: Items<T>,
    fn: MapFunction<T, R, S>,
    options?: O,
  ): Promise<Collected<O, R>[]>
  map<T, R, const O extends MapOptions = MapOptions>(
    fn: MapFunction<T, R, S>,
    items: Items<T>,
    options?: O,
  ): Promise<Collected<O, R>[]>
  map(first: unknown, second: unknown, options: MapOptions = {}): Promise<unknown[]> {
    const [items, fn] = inOrder(first, second)
    return this.#whole(items, fn, options)
  }

  /** Results in order, as they are read: no more than `ahead` items are taken before. */
  iter<T, R, const O extends IterOptions = IterOptions>(
    items: Items<T>,
    fn: MapFunction<T, R, S>,
    options?: O,
  ): AsyncGenerator<Collected<O, R>, void, undefined> {
    return this.#lazy(items, fn as AnyFunction, options ?? {}, true) as never
  }

  /** Results as they come. */
  unordered<T, R, const O extends IterOptions = IterOptions>(
    items: Items<T>,
    fn: MapFunction<T, R, S>,
    options?: O,
  ): AsyncGenerator<Collected<O, R>, void, undefined> {
    return this.#lazy(items, fn as AnyFunction, options ?? {}, false) as never
  }

  /** Runs a function once in a worker, with these arguments. */
  async run<A extends readonly unknown[], R>(fn: (...args: A) => R, ...args: A): Promise<Awaited<R>> {
    checkFunction(fn)
    const [result] = await this.#whole([args], ((each: A) => fn(...each)) as never, {})
    return result as Awaited<R>
  }

  /** `map` whose items are the arguments of the function: `pool.starmap(Math.max, [[1, 2], [3, 4]])`. */
  starmap<A extends readonly unknown[], R, const O extends MapOptions = MapOptions>(
    fn: (...args: A) => R,
    items: Items<A>,
    options?: O,
  ): Promise<Collected<O, R>[]> {
    checkFunction(fn)
    return this.#whole(items, ((each: A) => fn(...each)) as never, options ?? {}) as never
  }

  /** `iter` under the name and with the order of arguments of Python's `Pool.imap`. */
  imap<T, R, const O extends IterOptions = IterOptions>(
    fn: MapFunction<T, R, S>,
    items: Items<T>,
    options?: O,
  ): AsyncGenerator<Collected<O, R>, void, undefined> {
    return this.iter(items, fn, options)
  }

  /** `unordered` under the name and with the order of arguments of Python's `Pool.imap_unordered`. */
  imapUnordered<T, R, const O extends IterOptions = IterOptions>(
    fn: MapFunction<T, R, S>,
    items: Items<T>,
    options?: O,
  ): AsyncGenerator<Collected<O, R>, void, undefined> {
    return this.unordered(items, fn, options)
  }

  /** Takes no more, lets what runs come to its end, then ends the workers. */
  async close(): Promise<void> {
    this.#closed = true
    while (this.#running.size > 0) await Promise.allSettled([...this.#running])
    await (await this.#crew?.catch(() => undefined))?.end()
  }

  /** Ends the maps that run (they reject with `E_POOL_CLOSED`) and the workers, at once. */
  async terminate(): Promise<void> {
    this.#closed = true
    const crew = await this.#crew?.catch(() => undefined)
    if (crew) {
      for (const job of crew.jobs) crew.stop(job, closed('was terminated while this map ran'))
      await crew.end()
    }
    await Promise.allSettled([...this.#running])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** `close` without waiting for it, for a plain `using`. */
  [Symbol.dispose](): void {
    void this.close()
  }

  async #whole(items: Items<unknown>, fn: AnyFunction, options: MapOptions): Promise<unknown[]> {
    this.#check(options)
    return await this.#keep(this.#mapped(items, fn, options))
  }

  async #mapped(items: Items<unknown>, fn: AnyFunction, options: MapOptions): Promise<unknown[]> {
    if (!runsHere(options)) return await mapAll(await this.#open(), items, fn, options)
    const results: unknown[] = []
    for await (const result of await this.#serial(items, fn, options)) results.push(result)
    return results
  }

  async *#lazy(
    items: Items<unknown>,
    fn: AnyFunction,
    options: IterOptions,
    ordered: boolean,
  ): AsyncGenerator<unknown, void, undefined> {
    this.#check(options)
    let done!: () => void
    void this.#keep(new Promise<void>((resolve) => (done = resolve)))
    try {
      yield* runsHere(options)
        ? await this.#serial(items, fn, options)
        : mapLazily(await this.#open(), items, fn, options, ordered)
    } finally {
      done()
    }
  }

  async #serial(
    items: Items<unknown>,
    fn: AnyFunction,
    options: IterOptions,
  ): Promise<AsyncGenerator<unknown, void, undefined>> {
    this.#state ??= this.#stateHere()
    return mapSerially(items, fn, options, { worker: 0, state: await this.#state }, options.serial === true)
  }

  async #stateHere(): Promise<S> {
    try {
      return (await this.#options.init?.({ worker: 0 })) as S
    } catch (cause) {
      throw initFailed(cause)
    }
  }

  #check(options: IterOptions): void {
    if (this.#closed) throw closed('is closed')
    checkNames(options, 'map')
  }

  async #keep<T>(running: Promise<T>): Promise<T> {
    this.#running.add(running)
    try {
      return await running
    } finally {
      this.#running.delete(running)
    }
  }

  async #open(): Promise<Crew> {
    const { init } = this.#options
    this.#crew ??= (async () => {
      const { isolation, heap, maxMemory } = this.#settings
      const program = init && (await capture(init, isolation)).program
      this.#started = new Crew({ size: this.#settings.workers, isolation, heap, maxMemory, init: program })
      return this.#started
    })()
    return await this.#crew
  }
}

/** In a worker, workers of its own would only compete with those that are there. */
export function runsHere(options: MapOptions): boolean {
  return options.serial === true || (inWorker.get() && options.nested !== true)
}

function inOrder(first: unknown, second: unknown): [Items<unknown>, AnyFunction] {
  return (typeof first === 'function' && typeof second !== 'function' ? [second, first] : [first, second]) as never
}

function closed(what: string): GangflowError {
  return new GangflowError({
    code: 'E_POOL_CLOSED',
    what: `the pool ${what}`,
    fix: 'await the maps before close(), and make a new WorkerPool for others',
  })
}
