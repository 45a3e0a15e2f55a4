import type { Results } from './job.js'

/** Results handed to one reader, in order or as they come; the input waits when the reader does. */
export class IterSink implements Results {
  readonly #ready: unknown[] = []
  /** Ordered: what came before its turn. */
  readonly #early = new Map<number, unknown>()
  readonly #ahead: () => number
  readonly #ordered: boolean
  #at = 0
  #turn = 0
  #read = 0
  #end: { error: { error: unknown } | undefined } | undefined
  #waiting: (() => void) | undefined

  constructor(options: { ordered: boolean; ahead: () => number }) {
    this.#ahead = options.ahead
    this.#ordered = options.ordered
  }

  room(taken: number): number {
    return this.#ahead() - (taken - this.#read)
  }

  values(first: number, values: ArrayLike<unknown>): void {
    for (let at = 0; at < values.length; at++) this.#put(first + at, values[at])
  }

  end(error: { error: unknown } | undefined): void {
    this.#end = { error }
    this.#wake()
  }

  /** The next result; undefined at the end. Throws what ended the map, after what was ready before it. */
  async next(): Promise<{ value: unknown } | undefined> {
    while (this.#ready.length === this.#at) {
      if (this.#end?.error) throw this.#end.error.error
      if (this.#end) return undefined
      await new Promise<void>((resolve) => {
        this.#waiting = resolve
      })
    }
    this.#read++
    return { value: this.#shift() }
  }

  /** Resolves when the map is over. */
  async ended(): Promise<void> {
    while (!this.#end) {
      await new Promise<void>((resolve) => {
        this.#waiting = resolve
      })
    }
  }

  /** Results that can be read without waiting. */
  get waiting(): number {
    return this.#ready.length - this.#at
  }

  /** Shifting each time would move all that wait. */
  #shift(): unknown {
    const value = this.#ready[this.#at]
    this.#ready[this.#at++] = undefined
    if (this.#at === this.#ready.length || this.#at > 1024) {
      this.#ready.splice(0, this.#at)
      this.#at = 0
    }
    return value
  }

  #put(index: number, value: unknown): void {
    if (!this.#ordered) this.#ready.push(value)
    else {
      this.#early.set(index, value)
      while (this.#early.has(this.#turn)) {
        this.#ready.push(this.#early.get(this.#turn))
        this.#early.delete(this.#turn++)
      }
    }
    if (this.waiting > 0) this.#wake()
  }

  #wake(): void {
    const waiting = this.#waiting
    this.#waiting = undefined
    waiting?.()
  }
}
