import { buffersOfPacked, isCloned, type Packed, pack } from '../codec.js'
import { buffersToMove, isMarked } from '../move.js'
import type { Done, RunOptions, WireError } from '../protocol.js'
import { unsendable } from '../sendable.js'
import type { Feed, Pace } from './feed.js'
import type { Link } from './link.js'
import { now } from './now.js'
import { toWire } from './wire-error.js'

/** A function that was made here, and what is known of it. */
export interface Runnable {
  readonly fn: (item: unknown, index: number, context: unknown) => unknown
  readonly options: RunOptions
  readonly pace: Pace
  /** Items of it that are in work here. */
  working: number
  /** Knows the refusal of a frozen capture. */
  readonly kindOf: (thrown: unknown) => WireError['kind']
}

/** Without a board, a worker gives back by itself what a batch of this many milliseconds still holds. */
const longest = 25
/** Results that cannot stay in shared memory are sent once so many are there. */
const mostKept = 4096

/** One batch in a worker: what of it is done, and what was said of that. */
export class Batch {
  begun = false
  working = 0
  readonly #begun = now()
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
    readonly feed: Feed,
  ) {
    if (feed.scattered) this.#positions = []
  }

  late(): boolean {
    return now() - this.#begun > longest
  }

  keep(position: number, value: unknown): void {
    if (this.feed.store(position, value)) return
    this.#values.push(value)
    if (!this.#positions) return
    this.#positions.push(position)
    if (this.#values.length >= mostKept) this.#post(false)
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
    this.feed.oneByOne = true
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
        if (!this.#ended) this.#post(false)
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
    const stored = this.feed.stored()
    if (!end && values.length + this.#errors.length + (stored?.length ?? 0) === 0) return
    const rest = end ? this.feed.rest() : { from: 0, count: 0 }
    const back = rest.count > 0 ? this.feed.moved : undefined
    const done = (packed: Packed): Done => ({
      k: 'done',
      batch: this.number,
      at,
      values: packed,
      errors: this.#errors,
      ...(stored && { stored }),
      end,
      rest: rest.count,
      restAt: rest.from,
      ...(back && { back: pack(back, () => true) }),
      spent: now() - this.#begun,
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
      const moved = [...buffersToMove(values, this.runnable.options.moveResults), ...buffersToMove(back ?? [], true)]
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
