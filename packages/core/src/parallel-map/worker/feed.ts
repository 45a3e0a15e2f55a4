import { type Packed, readable } from '../codec.js'
import { rangeEnd, type SharedItems } from '../protocol.js'
import { rowReader } from '../shared-row.js'
import { now } from './now.js'

/** Which items of a batch a worker does, one after the other. */
export interface Feed {
  /** Those from position `base` on. */
  readonly items: ArrayLike<unknown>
  readonly base: number
  /** Where results have no order of their own, each is told with its position. */
  readonly scattered: boolean
  /** Set once the function gives promises: what is taken early would wait here for its turn. */
  oneByOne: boolean
  /** Position of the next item; -1 where there is none. */
  next(): number
  /** Items that are this worker's and were not begun. */
  rest(): { readonly from: number; readonly count: number }
  /** Those, where nobody else has them. */
  readonly moved: readonly unknown[] | undefined
  /** Keeps a result where it is, beside the item; false where it has to be sent. */
  store(position: number, value: unknown): boolean
  /** Ranges of what `store` kept since the last call. */
  stored(): number[] | undefined
}

/** All of what was sent, in order. */
export class Row implements Feed {
  readonly items: ArrayLike<unknown>
  readonly base = 0
  readonly scattered = false
  oneByOne = false
  #next = 0

  constructor(
    packed: Packed,
    readonly isMoved: boolean,
  ) {
    this.items = readable(packed)
  }

  get moved(): readonly unknown[] | undefined {
    return this.isMoved ? (this.items as readonly unknown[]).slice(this.#next) : undefined
  }

  next(): number {
    return this.#next < this.items.length ? this.#next++ : -1
  }

  rest(): { from: number; count: number } {
    return { from: this.#next, count: this.items.length - this.#next }
  }

  store(): boolean {
    return false
  }

  stored(): undefined {
    return undefined
  }
}

/** What a worker learns of a function's speed: milliseconds an item. */
export interface Pace {
  cost: number | undefined
}

/** Milliseconds that a claimed range is to take, and at least: a claim costs a thousandth of one. */
const aim = 1
const least = 0.02
/** No range is more than this many times the one before: what was measured may not hold for what comes. */
const growth = 32

/** Ranges of items in shared memory, claimed as they are needed. Results that are numbers stay in shared memory. */
export class Claims implements Feed {
  readonly moved = undefined
  items: ArrayLike<unknown>
  base = 0
  readonly scattered = true
  oneByOne = false
  readonly #shared: SharedItems
  readonly #read: (from: number, to: number) => ArrayLike<unknown>
  readonly #cursor: Int32Array
  readonly #results: Float64Array
  readonly #board: Int32Array
  readonly #pace: Pace
  #at = 0
  #end = 0
  #size = 0
  #claimedAt = 0
  #kept: number[] = []
  #keptFrom = 0
  #keptTo = 0

  constructor(shared: SharedItems, board: Int32Array, pace: Pace) {
    this.#shared = shared
    this.#read = rowReader(shared.row, shared.length)
    this.items = shared.row.k === 'view' ? this.#read(0, shared.length) : []
    this.#cursor = new Int32Array(shared.cursor)
    this.#results = new Float64Array(shared.results)
    this.#board = board
    this.#pace = pace
  }

  next(): number {
    return this.#at < this.#end || this.#claim() ? this.#at++ : -1
  }

  rest(): { from: number; count: number } {
    return { from: this.#at, count: this.#end - this.#at }
  }

  store(position: number, value: unknown): boolean {
    if (typeof value !== 'number') return false
    this.#results[position] = value
    if (position !== this.#keptTo) {
      this.#cut()
      this.#keptFrom = position
    }
    this.#keptTo = position + 1
    return true
  }

  stored(): number[] {
    this.#cut()
    const kept = this.#kept
    this.#kept = []
    this.#keptFrom = this.#keptTo
    return kept
  }

  #cut(): void {
    if (this.#keptTo > this.#keptFrom) this.#kept.push(this.#keptFrom, this.#keptTo)
  }

  #claim(): boolean {
    const { length } = this.#shared
    this.#measure()
    for (let from = Atomics.load(this.#cursor, 0); from < length; ) {
      const to = Math.min(length, from + this.#want(length - from))
      const found = Atomics.compareExchange(this.#cursor, 0, from, to)
      if (found !== from) {
        from = found
        continue
      }
      this.#at = from
      this.#end = to
      this.#size = to - from
      this.#board[rangeEnd] = to
      if (this.#shared.row.k !== 'view') {
        this.items = this.#read(from, to)
        this.base = from
      }
      return true
    }
    return false
  }

  /** What an item of the last range took. */
  #measure(): void {
    if (this.#shared.batch !== undefined || this.oneByOne) return
    const at = now()
    // The clock of some machines is coarse; below its step nothing is learnt.
    if (this.#size > 0) this.#pace.cost = Math.max((at - this.#claimedAt) / this.#size, 0.000_005)
    this.#claimedAt = at
  }

  /** How many items to claim of those that are left. */
  #want(left: number): number {
    const { batch, workers } = this.#shared
    if (batch !== undefined) return batch
    const { cost } = this.#pace
    if (cost === undefined || this.oneByOne) return 1
    const even = Math.max(Math.ceil(left / (4 * workers)), Math.ceil(least / cost))
    return Math.max(1, Math.min(even, Math.floor(aim / cost), Math.max(this.#size, 1) * growth))
  }
}
