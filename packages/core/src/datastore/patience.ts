/** Something that is waited for. */
export interface Wait {
  /** It gave a sign of life: its time begins anew, `extraMs` longer for what is known to take long. */
  sign(extraMs?: number): void
  /** While true, this side itself has to do something first, and no time passes. */
  busy: boolean
  end(): void
}

/**
 * Deadlines in time during which this process ran: one that was stopped (Ctrl-Z, a closed lid, a busy machine) accuses
 * nobody when it wakes.
 */
export class Patience {
  readonly #waits = new Set<Wait & { left: number; expire(): void }>()
  readonly #every: number
  #timer: NodeJS.Timeout | undefined
  #ticked = 0

  /** Milliseconds without a sign. */
  constructor(readonly limitMs: number) {
    this.#every = Math.min(1000, Math.max(10, limitMs / 20))
  }

  wait(expire: () => void): Wait {
    const wait = {
      left: this.limitMs,
      busy: false,
      expire,
      sign: (extraMs = 0) => {
        wait.left = this.limitMs + extraMs
      },
      end: () => {
        this.#waits.delete(wait)
        if (this.#waits.size > 0) return
        clearInterval(this.#timer)
        this.#timer = undefined
      },
    }
    this.#waits.add(wait)
    if (this.#timer === undefined) {
      this.#ticked = performance.now()
      this.#timer = setInterval(() => this.#tick(), this.#every).unref()
    }
    return wait
  }

  #tick(): void {
    const now = performance.now()
    const passed = Math.min(now - this.#ticked, this.#every * 2)
    this.#ticked = now
    for (const wait of [...this.#waits]) {
      if (wait.busy) wait.sign()
      else wait.left -= passed
      if (wait.left > 0) continue
      wait.end()
      wait.expire()
    }
  }
}
