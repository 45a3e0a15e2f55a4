import { claimed, type ToWorker, yielding } from '../protocol.js'
import { Batch, type Runnable } from './batch.js'
import { Claims, Row } from './feed.js'
import type { Link } from './link.js'

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
    const { items } = message
    const feed = items.k === 'shared' ? new Claims(items, board!, runnable.pace) : new Row(items, message.moved)
    return this.#loop(new Batch(this.#link, runnable, batch, message.first, feed), runnable)
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
    const { feed, number, first } = batch
    while (!batch.closed) {
      if (batch.begun && (board ? Atomics.load(board, yielding) === number : batch.late())) break
      if (!this.#mayBegin(runnable)) return this.#whenFree(() => this.#loop(batch, runnable))
      const position = feed.next()
      if (position === -1) break
      batch.begun = true
      const lane = this.#free[this.#free.length - 1]!
      this.#link.mark(lane, number, position + 1)
      try {
        const result = fn(feed.items[position - feed.base], first + position, context)
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

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
}
