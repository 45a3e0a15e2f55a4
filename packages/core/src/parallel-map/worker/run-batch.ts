import { buffersOfPacked, isCloned, type Packed, pack, readable } from '../codec.js'
import { buffersToMove, isMarked } from '../move.js'
import { claimed, type Done, type RunOptions, type ToWorker, type WireError, yielding } from '../protocol.js'
import { unsendable } from '../sendable.js'
import type { Link } from './link.js'
import { toWire } from './wire-error.js'

export interface Runnable {
  readonly fn: (item: unknown, index: number, context: unknown) => unknown
  readonly options: RunOptions
  /** Items of it that are in work here. */
  working: number
  /** Knows the refusal of a frozen capture. */
  readonly kindOf: (thrown: unknown) => WireError['kind']
}

/** Without a board, a worker gives back by itself what a batch of this many milliseconds still holds. */
const longest = 25

/** Runs batches over a number of lanes: an async function may have several items in work. */
export class BatchRunner {
  readonly #link: Link
  readonly #context: () => unknown
  #free: number[] = []
  #lanes = 0
  #laneFreed: (() => void) | undefined

  constructor(link: Link, context: () => unknown) {
    this.#link = link
    this.#context = context
  }

  /** Resolves when the next batch may begin; undefined where that is now. */
  run(runnable: Runnable, message: ToWorker & { k: 'run' }): void | Promise<void> {
    const { board } = this.#link
    const { batch } = message
    this.#grow(runnable.options.lanes)
    // The batch is the pool's to take back until an item of it can begin.
    if (!this.#mayBegin(runnable)) return this.#whenFree(() => this.run(runnable, message))
    if (board && Atomics.compareExchange(board, claimed, batch - 1, batch) !== batch - 1) return
    return this.#loop(new Batch(this.#link, runnable, batch, message.first, readable(message.items)), runnable)
  }

  /** A batch of a function that could not be made here: it counts, so that the next one is taken for what it is. */
  skip(batch: number): void {
    const { board } = this.#link
    if (board) Atomics.compareExchange(board, claimed, batch - 1, batch)
  }

  #grow(lanes: number): void {
    while (this.#lanes < lanes) this.#free.unshift(this.#lanes++)
  }

  /** With items of another function still in work, fewer lanes may be free than this one may have. */
  #mayBegin(runnable: Runnable): boolean {
    return runnable.working < runnable.options.lanes && this.#free.length > 0
  }

  #loop(batch: Batch, runnable: Runnable): void | Promise<void> {
    const { board } = this.#link
    const { fn, options } = runnable
    const context = this.#context()
    while (batch.next < batch.items.length && !batch.closed) {
      if (batch.next > 0 && (board ? Atomics.load(board, yielding) === batch.number : batch.late())) break
      if (!this.#mayBegin(runnable)) return this.#whenFree(() => this.#loop(batch, runnable))
      const lane = this.#free[this.#free.length - 1]!
      const position = batch.next++
      this.#link.mark(lane, batch.number, position + 1)
      try {
        const result = fn(batch.items[position], batch.first + position, context)
        if (isThenable(result)) {
          this.#free.pop()
          this.#follow(batch, lane, position, result)
        } else batch.keep(position, result)
      } catch (thrown) {
        batch.fail(position, thrown)
        if (!options.collect) break
      }
    }
    batch.close()
    if (this.#free.length > 0) this.#link.mark(this.#free[this.#free.length - 1]!, 0, 0)
  }

  async #whenFree(then: () => void | Promise<void>): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#laneFreed = resolve
    })
    return then()
  }

  #follow(batch: Batch, lane: number, position: number, result: PromiseLike<unknown>): void {
    const settle = (): void => {
      this.#link.mark(lane, 0, 0)
      this.#free.push(lane)
      batch.runnable.working--
      batch.settled()
      const freed = this.#laneFreed
      this.#laneFreed = undefined
      freed?.()
    }
    batch.runnable.working++
    batch.follow()
    Promise.resolve(result).then(
      (value) => {
        batch.keep(position, value)
        settle()
      },
      (thrown) => {
        batch.fail(position, thrown)
        settle()
      },
    )
  }
}

/** One batch in a worker: what of it is done, and what was said of that. */
class Batch {
  next = 0
  working = 0
  readonly #begun = performance.now()
  #values: unknown[] = []
  #positions: number[] | undefined
  #from = 0
  #errors: [number, WireError][] = []
  closed = false
  #ended = false
  #flushing = false

  constructor(
    readonly link: Link,
    readonly runnable: Runnable,
    readonly number: number,
    readonly first: number,
    readonly items: ArrayLike<unknown>,
  ) {}

  late(): boolean {
    return performance.now() - this.#begun > longest
  }

  keep(position: number, value: unknown): void {
    this.#values.push(value)
    if (this.#positions) this.#positions.push(position)
  }

  fail(position: number, thrown: unknown): void {
    this.#errors.push([position, toWire(thrown, this.runnable.kindOf(thrown))])
    if (this.runnable.options.collect) this.keep(position, undefined)
    // One failure ends the map: nothing more of this batch is begun.
    else this.closed = true
  }

  /** From the first promise on, results come in any order. */
  follow(): void {
    this.working++
    if (this.#positions) return
    if (this.#values.length > 0) this.#post(false)
    this.#positions = []
  }

  settled(): void {
    this.working--
    if (this.closed && this.working === 0) this.close()
    else if (!this.#flushing) {
      this.#flushing = true
      setImmediate(() => {
        this.#flushing = false
        if (!this.#ended && this.#values.length + this.#errors.length > 0) this.#post(false)
      })
    }
  }

  /** No further item of it is begun here; says so once those in work have ended. */
  close(): void {
    this.closed = true
    if (this.working > 0 || this.#ended) return
    this.#ended = true
    this.#post(true)
  }

  #post(end: boolean): void {
    const at = this.#positions ?? this.#from
    const values = this.#values
    const done = (packed: Packed): Done => ({
      k: 'done',
      batch: this.number,
      at,
      values: packed,
      errors: this.#errors,
      end,
      rest: end ? this.items.length - this.next : 0,
      spent: performance.now() - this.#begun,
    })
    const refuse = (index: number, error: unknown): void => {
      const position = this.#positions ? this.#positions[index]! : this.#from + index
      this.#errors.push([position, toWire(error, 'result')])
      values[index] = undefined
    }
    const keeps = this.runnable.options.moveResults ? () => true : isMarked
    let packed = pack(values, keeps)
    try {
      if (isCloned(packed) && this.#refuseLossy(refuse)) packed = pack(values, keeps)
      const moved = buffersToMove(values, this.runnable.options.moveResults)
      this.link.post(done(packed), [...buffersOfPacked(packed), ...moved])
    } catch {
      for (let index = 0; index < values.length; index++) {
        try {
          structuredClone(values[index])
        } catch (error) {
          refuse(index, error)
        }
      }
      this.link.post(done({ k: 'values', v: values }), [])
    }
    this.#from += values.length
    this.#values = []
    this.#errors = []
    if (this.#positions) this.#positions = []
  }

  /** What cloning would change without a word is refused by name. */
  #refuseLossy(refuse: (index: number, error: unknown) => void): boolean {
    let any = false
    for (const [index, value] of this.#values.entries()) {
      const found = unsendable(value)
      if (found === undefined) continue
      refuse(index, new TypeError(found))
      any = true
    }
    return any
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
}
