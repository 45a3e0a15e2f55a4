import type { Job } from '../job/job.js'
import type { Chunk } from '../job/source.js'

/** A batch that was sent to a worker, and what of it has come back. */
export class Flying {
  asked = false
  /** Milliseconds of the worker that were counted already. */
  counted = 0
  readonly #settled = new Set<number>()
  #upTo = 0

  constructor(
    readonly number: number,
    readonly job: Job,
    readonly chunk: Chunk,
    /** Its buffers went with it: it cannot be sent again. */
    readonly moved: boolean,
    readonly sentAt: number,
  ) {}

  settle(position: number): void {
    if (position === this.#upTo) this.#upTo++
    else this.#settled.add(position)
  }

  /** So many from a position on. */
  settleRun(from: number, count: number): void {
    if (from === this.#upTo) this.#upTo += count
    else for (let at = 0; at < count; at++) this.settle(from + at)
  }

  /** Runs of positions that have no result yet and are not among `but`, as chunks. */
  unsettled(but: ReadonlySet<number>): Chunk[] {
    const chunks: Chunk[] = []
    const { first, items } = this.chunk
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

  isSettled(position: number): boolean {
    return position < this.#upTo || this.#settled.has(position)
  }
}
