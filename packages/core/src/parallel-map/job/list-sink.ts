import type { Results } from './job.js'

/** Above this V8 makes an array sparse that is given its length at once. */
const mostAtOnce = 1 << 24

/** All results in one array, in the order of the items. */
export class ListSink implements Results {
  readonly results: unknown[]
  readonly #ended: (error: { error: unknown } | undefined) => void
  #length = 0

  /** `total`: how many results there will be, where that is known. */
  constructor(total: number | undefined, ended: (error: { error: unknown } | undefined) => void) {
    this.results = total !== undefined && total <= mostAtOnce ? new Array(total) : []
    this.#ended = ended
  }

  room(): number {
    return Number.POSITIVE_INFINITY
  }

  values(first: number, values: ArrayLike<unknown>): void {
    this.#reach(first, first + values.length)
    const { results } = this
    if (values instanceof Float64Array) {
      // A loop of its own: V8 then knows what comes in and makes no object of a number.
      for (let at = 0; at < values.length; at++) results[first + at] = values[at]
    } else for (let at = 0; at < values.length; at++) results[first + at] = values[at]
  }

  end(error: { error: unknown } | undefined): void {
    // The input may have become shorter meanwhile.
    this.results.length = this.#length
    this.#ended(error)
  }

  /** Later ones may come first: the gap is filled so that the array never turns into a sparse one. */
  #reach(from: number, to: number): void {
    while (this.results.length < from) this.results.push(undefined)
    if (to > this.#length) this.#length = to
  }
}
