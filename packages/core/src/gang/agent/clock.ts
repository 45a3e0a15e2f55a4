/** Exchanges of which the quickest tells the owner's clock. */
const KEPT = 20

/**
 * The owner's monotonic clock as this member knows it, from the quickest of the last exchanges: half of its round trip
 * is how wrong it can be. So what happened here is placed rightly there, whatever delays the report.
 */
export class OwnerClock {
  #exchanges: { readonly roundMs: number; readonly offset: number }[] = []

  /** How many exchanges it is known by. */
  get exchanges(): number {
    return this.#exchanges.length
  }

  /** `sent` and `now` by this clock, `owner` by the owner's when it answered. */
  answered(sent: number, owner: number, now: number): void {
    this.#exchanges.push({ roundMs: now - sent, offset: owner - (sent + now) / 2 })
    if (this.#exchanges.length > KEPT) this.#exchanges.shift()
  }

  /** `at` of this clock on the owner's; undefined before the first exchange. */
  onOwners(at: number): number | undefined {
    const [first, ...others] = this.#exchanges
    if (!first) return undefined
    return at + others.reduce((best, one) => (one.roundMs < best.roundMs ? one : best), first).offset
  }
}
