/** Milliseconds between two tellings. */
const EVERY_MS = 250

/** Where a body is in its collectives, as its owner's watchdog hears it. */
export interface At {
  /** How many it has called. */
  readonly calls: number
  /** The one that it is in: `barrier("loaded")`. */
  readonly waits?: string
}

/** Tells it at each change, but not more often than the owner needs it. */
export class Whereabouts {
  #at: At = { calls: 0 }
  #timer: NodeJS.Timeout | undefined
  #told = Number.NEGATIVE_INFINITY

  constructor(private readonly tell: (at: At) => void) {}

  set at(at: At) {
    this.#at = at
    this.#timer ??= setTimeout(() => this.#flush(), Math.max(0, this.#told + EVERY_MS - performance.now())).unref()
  }

  get at(): At {
    return this.#at
  }

  #flush(): void {
    this.#timer = undefined
    this.#told = performance.now()
    this.tell(this.#at)
  }
}
