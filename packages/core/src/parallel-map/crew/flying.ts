import { type Packed, unpack } from '../codec.js'
import type { Job } from '../job/job.js'
import type { Chunk } from '../job/source.js'
import { move } from '../move.js'

/** A batch that was sent to a worker, and what of it has come back. */
export class Flying {
  asked = false
  /** Items that have a result. */
  count = 0
  readonly #settled = new Set<number>()
  #upTo = 0

  constructor(
    readonly number: number,
    readonly job: Job,
    readonly chunk: Chunk,
    /** Its buffers went with it: only the worker can give it back. */
    readonly moved: boolean,
    readonly sentAt: number,
  ) {}

  settle(position: number): void {
    const { segment } = this.chunk
    this.count++
    if (segment) segment.settle(position, position + 1)
    else if (position === this.#upTo) this.#upTo++
    else this.#settled.add(position)
  }

  /** So many from a position on. */
  settleRun(from: number, count: number): void {
    const { segment } = this.chunk
    if (!segment && from !== this.#upTo) {
      for (let at = 0; at < count; at++) this.settle(from + at)
      return
    }
    this.count += count
    if (segment) segment.settle(from, from + count)
    else this.#upTo += count
  }

  /**
   * Runs of positions that have no result yet and are not among `but`, as chunks. Of a segment, `but` are no more its
   * concern; what else is lost of it shows when all have left it.
   */
  unsettled(but: ReadonlySet<number>): Chunk[] {
    const chunks: Chunk[] = []
    const { first, items, segment } = this.chunk
    if (segment) {
      for (const position of but) segment.settle(position, position + 1)
      return chunks
    }
    let begin = -1
    for (let position = this.#upTo; position <= items.length; position++) {
      const open = position < items.length && !this.isSettled(position) && !but.has(position)
      if (open && begin === -1) begin = position
      if (!open && begin !== -1) {
        chunks.push({ first: first + begin, items: items.slice(begin, position) })
        begin = -1
      }
    }
    return chunks
  }

  /** Items that the worker had and has not begun; `back` are those that had been moved there. */
  handBack(from: number, count: number, back?: Packed): Chunk {
    const { first, items, segment } = this.chunk
    if (count > 0) segment?.settle(from, from + count)
    return { first: first + from, items: back ? move(unpack(back)) : items.slice(from, from + count) }
  }

  isSettled(position: number): boolean {
    const { segment } = this.chunk
    if (segment) return segment.isSettled(position)
    return position < this.#upTo || this.#settled.has(position)
  }
}
