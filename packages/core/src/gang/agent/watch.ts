import { LineFeed } from '../../body/lines.js'
import type { OutputChunk } from '../../process/contract.js'

export interface WatchedLine {
  readonly stream: 'stdout' | 'stderr'
  readonly text: string
}

/** Lines that wait for a watcher, and milliseconds between what it is sent. */
const HELD = 1000
const EVERY_MS = 20

/** A command's lines for whoever started it: nothing travels until somebody listens, then in batches. */
export class Watch {
  #lines: WatchedLine[] = []
  #send: ((lines: readonly WatchedLine[]) => void) | undefined
  #timer: NodeJS.Timeout | undefined
  readonly #feed = new LineFeed(({ stream, text }) => this.#line({ stream, text }), {
    rate: 1e12,
    burst: 1e12,
    tail: 0,
  })

  push(chunk: OutputChunk): void {
    // Unwatched and full: it is only the log that wants the rest.
    if (this.#send || this.#lines.length < HELD) this.#feed.push(chunk)
  }

  /** Sends what was held, from now on all. */
  listen(send: (lines: readonly WatchedLine[]) => void): void {
    this.#send = send
    this.#flush()
  }

  end(): void {
    this.#feed.end()
    this.#flush()
  }

  #line(line: WatchedLine): void {
    if (!this.#send && this.#lines.length >= HELD) return
    this.#lines.push(line)
    if (this.#send) this.#timer ??= setTimeout(() => this.#flush(), EVERY_MS)
  }

  #flush(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (!this.#send || this.#lines.length === 0) return
    const lines = this.#lines
    this.#lines = []
    this.#send(lines)
  }
}
