import type { ItemError } from '../item-error.js'
import type { Sink } from './job.js'

/** All results in one array, in the order of the items. */
export class ListSink implements Sink {
  readonly results: unknown[] = []
  readonly #collect: boolean
  readonly #ended: (error: { error: unknown } | undefined) => void

  constructor(collect: boolean, ended: (error: { error: unknown } | undefined) => void) {
    this.#collect = collect
    this.#ended = ended
  }

  room(): number {
    return Number.POSITIVE_INFINITY
  }

  values(first: number, values: ArrayLike<unknown>): void {
    for (let at = 0; at < values.length; at++) {
      const value = values[at]
      this.#put(first + at, this.#collect ? { status: 'fulfilled', value } : value)
    }
  }

  failure(index: number, reason: ItemError): void {
    if (this.#collect) this.#put(index, { status: 'rejected', reason })
  }

  end(error: { error: unknown } | undefined): void {
    this.#ended(error)
  }

  /** Later ones may come first: the gap is filled so that the array never turns into a sparse one. */
  #put(index: number, value: unknown): void {
    const { results } = this
    if (results.length === index) {
      results.push(value)
      return
    }
    while (results.length < index) results.push(undefined)
    results[index] = value
  }
}
