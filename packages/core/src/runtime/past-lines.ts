/** Lines that are shown of what a job had printed before it was taken up. */
const PAST_LINES = 20

/** Of what a job had printed before it was taken up, the last lines are shown and the others counted. */
export class PastLines {
  #kept: { readonly type: string }[] = []
  #skipped = 0
  #over = false

  constructor(private readonly emit: (event: { readonly type: string }) => void) {}

  took(event: { readonly type: string }): boolean {
    if (this.#over || event.type !== 'line') return false
    this.#kept.push(event)
    if (this.#kept.length > PAST_LINES) {
      this.#kept.shift()
      this.#skipped += 1
    }
    return true
  }

  tell(): void {
    this.#over = true
    const skipped = this.#skipped === 0 ? {} : { skipped: this.#skipped }
    for (const [index, event] of this.#kept.entries()) this.emit(index === 0 ? { ...event, ...skipped } : event)
    this.#kept = []
  }
}
