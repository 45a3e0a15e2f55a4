import type { SharedItems } from '../protocol.js'
import { type SharedRow, shareRow } from '../shared-row.js'
import { partsOf } from '../views.js'
import { sizeOf } from './size-of.js'
import type { Chunk } from './source.js'

/** Numbers of one segment at most: 32 MB of items, and as much of results. */
const most = 1 << 22
/** Other items of one at most, which take time to write down, and the bytes of the largest one. */
const mostOthers = 4096
const largest = 4096
/** Where more go together than this, messages are as good for what is no number. */
const fewTogether = 16

/**
 * Items of the input in memory that all worker threads see. Workers that join it claim ranges of it by themselves,
 * and leave it when nothing is left or when they are asked for what they hold.
 */
export class Segment {
  readonly first: number
  /** As they were given, for what has to be sent again. */
  readonly items: readonly unknown[]
  readonly results: Float64Array
  readonly #row: SharedRow
  readonly #cursor = new Int32Array(new SharedArrayBuffer(4))
  readonly #settled: Uint8Array
  #count = 0
  #joined = 0

  /** `own`: numbers that nobody else has, whose memory results may take. */
  constructor({ first, items }: Chunk, row: SharedRow, own?: Float64Array) {
    this.first = first
    this.items = items
    this.#row = row
    this.results = own ?? new Float64Array(new SharedArrayBuffer(items.length * 8))
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
      row: this.#row,
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

/**
 * A segment of a list from a position on: of numbers, or, where few items go together (`batch`), of texts and other
 * plain data. Undefined where not all of it are such.
 */
export function segmentOf(list: readonly unknown[], from: number, batch: number | undefined): Segment | undefined {
  if (list.length - from < 2) return undefined
  return typeof list[from] === 'number' ? numbersOf(list, from) : othersOf(list, from, batch)
}

function numbersOf(list: readonly unknown[], from: number): Segment | undefined {
  const to = Math.min(list.length, from + most)
  const given = ArrayBuffer.isView(list) ? (list as unknown as NumberView) : undefined
  if (given && given.buffer instanceof SharedArrayBuffer && partsOf(given)) {
    const numbers = given.subarray(from, to)
    return new Segment({ first: from, items: numbers as unknown as unknown[] }, viewRow(numbers))
  }
  const numbers = new Float64Array(new SharedArrayBuffer((to - from) * 8))
  for (let at = from; at < to; at++) {
    const value = list[at]
    if (typeof value !== 'number') return undefined
    numbers[at - from] = value
  }
  return new Segment({ first: from, items: list.slice(from, to) }, viewRow(numbers), numbers)
}

/** By its parts: as a view over more than 4 GiB it would arrive with a wrong length. */
function viewRow(numbers: NumberView): SharedRow {
  const { type, buffer, at } = partsOf(numbers)!
  return { k: 'view', type, buffer: buffer as SharedArrayBuffer, at }
}

function othersOf(list: readonly unknown[], from: number, batch: number | undefined): Segment | undefined {
  if (batch === undefined || batch > fewTogether || ArrayBuffer.isView(list)) return undefined
  const items = list.slice(from, from + mostOthers)
  if (items.some((item) => sizeOf(item) > largest)) return undefined
  const row = shareRow(items)
  return row && new Segment({ first: from, items }, row)
}
