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

  value(index: number, value: unknown): void {
    this.#put(index, this.#collect ? { status: 'fulfilled', value } : value)
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
    while (results.length < index) results.push(undefined)
    results[index] = value
  }
}
