import type { SharedItems } from '../protocol.js'
import { partsOf, type ViewType } from '../views.js'
import type { Chunk } from './source.js'

/** Numbers of one segment at most: 32 MB of items, and as much of results. */
const most = 1 << 22

/**
 * Numbers of the input in memory that all worker threads see. Workers that join it claim ranges of it by themselves,
 * and leave it when nothing is left or when they are asked for what they hold.
 */
export class Segment {
  readonly first: number
  /** As they were given, for what has to be sent again. */
  readonly items: readonly unknown[]
  readonly results: Float64Array
  readonly #parts: { type: ViewType; buffer: SharedArrayBuffer; at: number }
  readonly #cursor = new Int32Array(new SharedArrayBuffer(4))
  readonly #settled: Uint8Array
  #count = 0
  #joined = 0

  constructor({ first, items }: Chunk, numbers: NumberView) {
    this.first = first
    this.items = items
    const { type, buffer, at } = partsOf(numbers)!
    this.#parts = { type, buffer: buffer as SharedArrayBuffer, at }
    const isOwn = (items as unknown) !== numbers
    this.results = isOwn ? (numbers as Float64Array) : new Float64Array(new SharedArrayBuffer(items.length * 8))
    this.#settled = new Uint8Array(items.length)
  }

  /** Nobody has to claim anything of it any more. */
  get isClaimed(): boolean {
    return Atomics.load(this.#cursor, 0) >= this.items.length
  }

  get isEmpty(): boolean {
    return this.#joined === 0
  }

  join(): void {
    this.#joined++
  }

  leave(): void {
    this.#joined--
  }

  /** What a worker is sent. */
  shared(batch: number | undefined, workers: number): SharedItems {
    return {
      k: 'shared',
      ...this.#parts,
      length: this.items.length,
      cursor: this.#cursor.buffer as SharedArrayBuffer,
      results: this.results.buffer as SharedArrayBuffer,
      batch,
      workers,
    }
  }

  /** These items have a result, or are on their way by other means. */
  settle(from: number, to: number): void {
    if (to - from === 1) this.#settled[from] = 1
    else this.#settled.fill(1, from, to)
    this.#count += to - from
  }

  isSettled(position: number): boolean {
    return this.#settled[position] === 1
  }

  /** Once nobody works on it: what workers claimed and took with them when they died. */
  *lost(): Generator<Chunk> {
    if (this.#count >= this.items.length) return
    for (let from = this.#settled.indexOf(0); from !== -1; ) {
      const end = this.#settled.indexOf(1, from)
      const to = end === -1 ? this.items.length : end
      yield this.chunk(from, to)
      from = this.#settled.indexOf(0, to)
    }
  }

  chunk(from: number, to: number): Chunk {
    return { first: this.first + from, items: this.items.slice(from, to) }
  }
}

type NumberView =
  | Float64Array
  | Float32Array
  | Int32Array
  | Uint32Array
  | Int16Array
  | Uint16Array
  | Int8Array
  | Uint8Array

/** A segment of a list from a position on; undefined where not all of it are numbers. */
export function segmentOf(list: readonly unknown[], from: number): Segment | undefined {
  const to = Math.min(list.length, from + most)
  if (to - from < 2 || typeof list[from] !== 'number') return undefined
  const given = ArrayBuffer.isView(list) ? (list as unknown as NumberView) : undefined
  if (given && given.buffer instanceof SharedArrayBuffer && partsOf(given)) {
    const numbers = given.subarray(from, to)
    return new Segment({ first: from, items: numbers as unknown as unknown[] }, numbers)
  }
  const numbers = new Float64Array(new SharedArrayBuffer((to - from) * 8))
  for (let at = from; at < to; at++) {
    const value = list[at]
    if (typeof value !== 'number') return undefined
    numbers[at - from] = value
  }
  return new Segment({ first: from, items: list.slice(from, to) }, numbers)
}
