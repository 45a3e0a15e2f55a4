/** What a batch should take, in milliseconds: long beside a message's fiftieth of one, short beside a map. */
const aim = 4
/** No batch is more than this many times the one before: what was measured may not hold for what comes. */
const growth = 32
const largest = 16_384
/** Nor is work below so many milliseconds divided so that all end together: what one has too much is taken back. */
const least = 0.5

/** How many items to send at once, from what items have cost so far. */
export class Sizing {
  #cost: number | undefined
  #last = 1

  /** `fixed`: not measured. */
  constructor(readonly fixed: number | undefined) {}

  /** Milliseconds that an item takes in its worker, as measured; undefined before the first came back. */
  get cost(): number | undefined {
    return this.#cost
  }

  measured(items: number, milliseconds: number): void {
    if (items === 0) return
    const cost = Math.max(milliseconds / items, 0.00005)
    // Up at once, down slowly: a batch too long keeps others waiting, one too short costs little.
    this.#cost = this.#cost === undefined || cost > this.#cost ? cost : 0.5 * this.#cost + 0.5 * cost
    this.#last = Math.max(this.#last, items)
  }

  /** `left`: items still to be sent, where known. */
  next(left: number | undefined, workers: number): number {
    if (this.fixed !== undefined) return this.fixed
    if (this.#cost === undefined) return 1
    const share = left === undefined ? largest : Math.ceil(left / (2 * workers))
    const even = Math.max(share, Math.ceil(least / this.#cost))
    return Math.max(1, Math.min(largest, even, Math.floor(aim / this.#cost), this.#last * growth))
  }
}
