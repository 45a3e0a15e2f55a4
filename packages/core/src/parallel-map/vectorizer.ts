import type { Items, MapFunction, MapOptions, PoolOptions } from './contract.js'
import { checkNames } from './options.js'
import { WorkerPool } from './pool.js'

export interface VectorizerOptions<S> extends PoolOptions<S>, MapOptions {}

/**
 * A loop over a function, in parallel: `new Vectorizer(tokenize, { workers: 4 }).process(texts)`. Its workers stay for
 * the next `process`; `close()`, or `await using`, ends them.
 */
export class Vectorizer<T, R, S = undefined> {
  readonly #fn: MapFunction<T, R, S>
  readonly #map: MapOptions
  readonly #pool: WorkerPool<S>

  constructor(fn: MapFunction<T, R, S>, options: VectorizerOptions<S> = {}) {
    checkNames(options, 'both')
    const { workers, isolation, init, heap, maxMemory, ...map } = options
    const pool = { workers, isolation, init, heap, maxMemory }
    this.#fn = fn
    this.#map = map
    this.#pool = new WorkerPool(
      Object.fromEntries(Object.entries(pool).filter(([, value]) => value !== undefined)) as PoolOptions<S>,
    )
  }

  /** What the function gives for each item, in order. */
  async process(items: Items<T>): Promise<Awaited<R>[]> {
    return (await this.#pool.map(items, this.#fn, this.#map)) as Awaited<R>[]
  }

  /** The same, one by one as they are read. */
  iterate(items: Items<T>): AsyncGenerator<Awaited<R>, void, undefined> {
    return this.#pool.iter(items, this.#fn, this.#map) as AsyncGenerator<Awaited<R>, void, undefined>
  }

  async close(): Promise<void> {
    await this.#pool.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  [Symbol.dispose](): void {
    this.#pool[Symbol.dispose]()
  }
}
