import type { LiveLine } from '../protocol.js'
import type { DataLink } from './data-link.js'

/** Lines that are kept for the owner while it does not read. */
const HELD = 5000
const FLUSH_MS = 20

/** The live view's lines, in batches on the data connection; what the owner cannot take in time is counted. */
export class Live {
  readonly #data: DataLink
  #batch: LiveLine[] = []
  #skipped = new Map<string, number>()
  #timer: NodeJS.Timeout | undefined
  #busy = false

  constructor(data: DataLink) {
    this.#data = data
  }

  line(line: LiveLine): void {
    if (this.#batch.length >= HELD) {
      this.#skipped.set(line.process, (this.#skipped.get(line.process) ?? 0) + 1 + (line.skipped ?? 0))
      return
    }
    const skipped = (this.#skipped.get(line.process) ?? 0) + (line.skipped ?? 0)
    this.#skipped.delete(line.process)
    this.#batch.push(skipped > 0 ? { ...line, skipped } : line)
    this.#timer ??= setTimeout(() => void this.flush(), FLUSH_MS)
  }

  /** Sends what is held and says that no more comes; waits a second at most for an owner that does not read. */
  async drain(): Promise<void> {
    const late = new Promise<void>((resolve) => setTimeout(resolve, 1000).unref())
    while (this.#busy || this.#batch.length > 0) {
      if ((await Promise.race([this.flush().then(() => this.#data.flushed()), late.then(() => 'late')])) === 'late')
        return
    }
    this.#data.tell('drained')
  }

  async flush(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#busy || this.#batch.length === 0) return
    this.#busy = true
    const lines = this.#batch
    this.#batch = []
    this.#data.tell('lines', lines)
    await this.#data.flushed()
    this.#busy = false
    if (this.#batch.length > 0) this.#timer ??= setTimeout(() => void this.flush(), FLUSH_MS)
  }
}
