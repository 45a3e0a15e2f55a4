import type { ItemError } from '../item-error.js'
import type { Program, RunOptions } from '../protocol.js'
import type { Segment } from './segment.js'
import { mostBytes, sizeOf } from './size-of.js'
import type { Sizing } from './sizing.js'
import type { Chunk, Source } from './source.js'

/** Where results go, outcomes of items that failed among them. */
export interface Results {
  /** How many items may be taken from the input, of which `taken` were taken already; 0 makes it wait. */
  room(taken: number): number
  /** Results of items that follow each other. */
  values(first: number, values: ArrayLike<unknown>): void
  /** Once: all items have their result, or (with an error) the map is over and nothing of it runs any more. */
  end(error: { error: unknown } | undefined): void
}

/** Where a job says what became of its items. */
export interface Sink extends Results {
  failure(index: number, error: ItemError): void
}

/** What a map is, beside its items. */
export interface JobSpec {
  /** Workers may claim numbers in shared memory: they are threads, and all results are wanted. */
  readonly shares: boolean
  readonly program: Program
  readonly options: RunOptions
  /** Milliseconds. */
  readonly timeout: number | undefined
  /** Captured names that the function's text writes to. */
  readonly writes: readonly string[]
  /** Lines of the stack of who began the map. */
  readonly called: string
}

let jobs = 0

/** One map on its way: hands out chunks of items, takes results, and knows when it is over. */
export class Job {
  readonly id = ++jobs
  readonly #again: Chunk[] = []
  /** Those of which something has no result yet; the last one may have what nobody claimed. */
  readonly #segments: Segment[] = []
  #flying = 0
  #settled = 0
  #taken = 0
  #over = false
  #failure: { error: unknown } | undefined

  constructor(
    readonly spec: JobSpec,
    readonly source: Source,
    readonly sizing: Sizing,
    readonly sink: Sink,
  ) {}

  get stopped(): boolean {
    return this.#failure !== undefined
  }

  get over(): boolean {
    return this.#over
  }

  get settled(): number {
    return this.#settled
  }

  /**
   * Items to send now, or undefined. What a worker gave back goes first; `idle`: the worker has nothing else, or (`last`)
   * nothing that it will go on with.
   */
  take(workers: number, { idle, last }: { idle: boolean; last: boolean }): Chunk | undefined {
    if (this.stopped) return undefined
    const { total } = this.source
    const left = total === undefined ? undefined : total - this.#settled
    const want = this.sizing.next(left, workers)
    const at = this.#again.findLastIndex(({ alone }) => idle || !alone)
    if (at !== -1) return this.#cut(this.#again.splice(at, 1)[0]!, want)
    const segment = this.#segment()
    // A worker that has something to do joins when that is done.
    if (segment) return last ? { first: segment.first, items: segment.items, segment } : undefined
    const room = this.sink.room(this.#taken)
    if (room <= 0) return undefined
    const chunk = this.source.take(Math.min(room, want))
    if (chunk === undefined) return undefined
    this.#taken += chunk.items.length
    return this.#cut(chunk, want)
  }

  #segment(): Segment | undefined {
    const last = this.#segments.at(-1)
    if (last && !last.isClaimed) return last
    const next = this.spec.shares ? this.source.segment?.(this.sizing.fixed) : undefined
    if (next) this.#segments.push(next)
    return next
  }

  /** Keeps the first `want` items of a chunk, and no more than its bytes allow; the rest is for the next. */
  #cut(chunk: Chunk, want: number): Chunk {
    const { items } = chunk
    let keep = Math.min(items.length, want)
    if (typeof items[0] !== 'number') {
      let bytes = 0
      for (let index = 0; index < keep; index++) {
        bytes += sizeOf(items[index])
        if (bytes > mostBytes) keep = Math.max(1, index)
      }
    }
    if (keep === items.length) return chunk
    this.again({ first: chunk.first + keep, items: items.slice(keep) })
    return { first: chunk.first, items: items.slice(0, keep) }
  }

  /** Items that are to be sent again; the lowest index goes first. */
  again(chunk: Chunk): void {
    if (chunk.items.length === 0 || this.stopped) return
    const at = this.#again.findIndex((other) => other.first < chunk.first)
    this.#again.splice(at === -1 ? this.#again.length : at, 0, chunk)
  }

  sent({ segment }: Chunk): void {
    this.#flying++
    segment?.join()
  }

  /** A batch has come to its end, in whatever way. */
  landed({ segment }: Chunk): void {
    this.#flying--
    segment?.leave()
    if (segment?.isEmpty && segment.isClaimed) {
      this.#segments.splice(this.#segments.indexOf(segment), 1)
      for (const chunk of segment.lost()) this.again(chunk)
    }
    this.check()
  }

  values(first: number, values: ArrayLike<unknown>): void {
    if (this.stopped) return
    this.#settled += values.length
    this.sink.values(first, values)
  }

  /** An item has no result: the map goes on without it, or ends. */
  itemFailed(index: number, error: ItemError): void {
    if (this.stopped) return
    this.#settled++
    error.calledFrom(this.spec.called)
    this.sink.failure(index, error)
    if (!this.spec.options.collect) this.fail(error)
  }

  /** Ends the map; `sink.end` follows when nothing of it is in work any more. */
  fail(error: unknown): void {
    if (this.stopped || this.#over) return
    this.#failure = { error }
    this.#again.length = 0
    this.source.close()
  }

  check(): void {
    if (this.#over || this.#flying > 0) return
    if (!this.stopped && !(this.source.ended && this.#again.length + this.#segments.length === 0)) return
    this.#over = true
    this.sink.end(this.#failure)
  }
}
