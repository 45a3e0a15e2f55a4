import { GangflowError } from '../../errors/base.js'
import type { Items } from '../contract.js'
import { type Segment, segmentOf } from './segment.js'

/** Items taken from the input together, with the index of the first. */
export interface Chunk {
  readonly first: number
  readonly items: readonly unknown[]
  /** Its one item was beside others when their worker died: only by itself does it show whether it was the one. */
  readonly alone?: boolean
  /** They are in shared memory, and whoever gets them claims of them what it can do. */
  readonly segment?: Segment
}

/** Where a map's items come from. */
export interface Source {
  /** How many there are in all, where that is known. */
  readonly total: number | undefined
  /** Nothing more comes. */
  readonly ended: boolean
  /** At most `most` items; undefined where there are none now: at the end, or until `wake` is called. */
  take(most: number): Chunk | undefined
  /** The next items in shared memory, where they are all there and of a kind that can lie there. */
  segment?(batch: number | undefined): Segment | undefined
  /** No more is taken: tells the input so. */
  close(): void
}

/** `wake` is called when an async input has more, has ended, or has thrown (`failed`). */
export function sourceOf(
  items: Items<unknown>,
  { wake, failed }: { wake: () => void; failed: (error: unknown) => void },
): Source {
  if (Array.isArray(items)) return new ListSource(items)
  if (ArrayBuffer.isView(items) && !(items instanceof DataView)) return new ListSource(items as unknown as unknown[])
  const any = items as { [Symbol.asyncIterator]?: unknown; [Symbol.iterator]?: unknown } | null | undefined
  if (any != null && typeof any[Symbol.asyncIterator] === 'function')
    return new AsyncSource((items as AsyncIterable<unknown>)[Symbol.asyncIterator](), wake, failed)
  if (any != null && typeof any[Symbol.iterator] === 'function')
    return new IteratorSource((items as Iterable<unknown>)[Symbol.iterator](), failed, sizeOf(items))
  return notIterable(items)
}

/** Throws `E_MAP_ITEMS` for what cannot be iterated. */
export function checkItems(items: unknown): void {
  const any = items as { [Symbol.asyncIterator]?: unknown; [Symbol.iterator]?: unknown } | null | undefined
  if (any == null || (any[Symbol.asyncIterator] === undefined && any[Symbol.iterator] === undefined)) notIterable(items)
}

function notIterable(items: unknown): never {
  const what = typeof items === 'object' ? 'an object that cannot be iterated' : `a ${typeof items}`
  throw new GangflowError({
    code: 'E_MAP_ITEMS',
    what: `the items of a map are ${items === null ? 'null' : what}`,
    fix: 'give an array, or any other iterable or async iterable; of an object, Object.entries(it)',
  })
}

function sizeOf(items: unknown): number | undefined {
  return items instanceof Set || items instanceof Map ? items.size : undefined
}

class ListSource implements Source {
  #next = 0
  #closed = false
  /** Not all of it can lie in shared memory. */
  #isMixed = false

  constructor(readonly list: readonly unknown[]) {}

  get total(): number {
    return this.list.length
  }

  get ended(): boolean {
    return this.#closed || this.#next >= this.list.length
  }

  take(most: number): Chunk | undefined {
    if (this.ended) return undefined
    const first = this.#next
    this.#next = Math.min(this.list.length, first + most)
    return { first, items: this.list.slice(first, this.#next) }
  }

  segment(batch: number | undefined): Segment | undefined {
    if (this.ended || this.#isMixed) return undefined
    const segment = segmentOf(this.list, this.#next, batch)
    if (segment) this.#next += segment.items.length
    else this.#isMixed = true
    return segment
  }

  close(): void {
    this.#closed = true
  }
}

class IteratorSource implements Source {
  ended = false
  #taken = 0

  constructor(
    readonly iterator: Iterator<unknown>,
    readonly failed: (error: unknown) => void,
    readonly total: number | undefined,
  ) {}

  take(most: number): Chunk | undefined {
    const items: unknown[] = []
    const first = this.#taken
    try {
      while (items.length < most && !this.ended) {
        const next = checked(this.iterator.next())
        if (next.done) this.ended = true
        else items.push(next.value)
      }
    } catch (error) {
      this.ended = true
      this.failed(error)
      return undefined
    }
    this.#taken += items.length
    return items.length > 0 ? { first, items } : undefined
  }

  close(): void {
    if (this.ended) return
    this.ended = true
    try {
      this.iterator.return?.()
    } catch {
      // The map has its end already; what the input says to that changes nothing.
    }
  }
}

/** Reads ahead of an async input, as far as was asked for. */
class AsyncSource implements Source {
  readonly total = undefined
  readonly #waiting: unknown[] = []
  #taken = 0
  #wanted = 0
  #reading = false
  #done = false

  constructor(
    readonly iterator: AsyncIterator<unknown>,
    readonly wake: () => void,
    readonly failed: (error: unknown) => void,
  ) {}

  get ended(): boolean {
    return this.#done && this.#waiting.length === 0
  }

  take(most: number): Chunk | undefined {
    const items = this.#waiting.splice(0, most)
    const first = this.#taken
    this.#taken += items.length
    this.#wanted = most
    if (!this.#reading && !this.#done) void this.#read()
    return items.length > 0 ? { first, items } : undefined
  }

  async #read(): Promise<void> {
    this.#reading = true
    try {
      while (!this.#done && this.#waiting.length < this.#wanted) {
        const next = checked(await this.iterator.next())
        if (next.done) this.#done = true
        else this.#waiting.push(next.value)
        this.wake()
      }
    } catch (error) {
      this.#done = true
      this.failed(error)
    } finally {
      this.#reading = false
    }
  }

  close(): void {
    if (this.#done) return
    this.#done = true
    this.#waiting.length = 0
    void this.#leave()
  }

  async #leave(): Promise<void> {
    try {
      await this.iterator.return?.()
    } catch {
      // As above.
    }
  }
}

/** As a `for` loop does: what is no object would else be taken for `undefined`, again and again. */
function checked(next: IteratorResult<unknown>): IteratorResult<unknown> {
  if (typeof next === 'object' && next !== null) return next
  throw new TypeError(`the iterator of the items gave ${String(next)}, which is no object`)
}
