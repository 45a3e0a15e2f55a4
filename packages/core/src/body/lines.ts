import type { OutputChunk } from '../process/contract.js'

/** One line of live output, without its line end. */
export interface Line {
  readonly stream: 'stdout' | 'stderr'
  readonly text: string
  /** Lines left out before this one, because there were too many a second (the log has all). */
  readonly skipped?: number
}

export interface LineFeedOptions {
  /** Lines a second that are shown on and on. Default 500. */
  readonly rate?: number
  /** Lines that are shown at once after a pause. Default 2000. */
  readonly burst?: number
  /** Bytes after which a line without end is shown in pieces. Default 16 KiB. */
  readonly longest?: number
  /** Milliseconds between two states shown of a line that overwrites itself with `\r`. Default 1000. */
  readonly refreshMs?: number
  /** Lines that `tail` gives. Default 20. */
  readonly tail?: number
  /** Milliseconds of a monotonic clock. */
  readonly now?: () => number
}

const newline = 10
const carriage = 13

interface Held {
  readonly stream: 'stdout' | 'stderr'
  readonly bytes: Uint8Array
}

/**
 * Cuts a process's output into lines for the live view: never inside a character, a line that overwrites itself
 * shown now and then, a flood thinned out and counted. The last lines are always shown, at `end` at the latest.
 */
export class LineFeed {
  readonly #emit: (line: Line) => void
  readonly #options: Required<LineFeedOptions>
  readonly #partial = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] }
  readonly #refreshed = { stdout: Number.NEGATIVE_INFINITY, stderr: Number.NEGATIVE_INFINITY }
  /** The last lines; those of `#unshown` at its end were not shown. */
  readonly #last: Held[] = []
  #unshown = 0
  #gapped = false
  /** True while nothing that follows the gap has been shown. */
  #gapUnshown = false
  #tokens: number
  #filledAt: number
  #now = 0

  constructor(emit: (line: Line) => void, options: LineFeedOptions = {}) {
    this.#emit = emit
    this.#options = {
      rate: 500,
      burst: 2000,
      longest: 16 << 10,
      refreshMs: 1000,
      tail: 20,
      now: () => performance.now(),
      ...options,
    }
    this.#tokens = this.#options.burst
    this.#filledAt = this.#options.now()
  }

  push(chunk: Pick<OutputChunk, 'stream' | 'data' | 'skipped'>): void {
    const { stream, data } = chunk
    this.#now = this.#options.now()
    if (chunk.skipped) this.#gap(stream, chunk.skipped)
    let from = 0
    let leapt = false
    this.#refill()
    for (let at = data.indexOf(newline); at >= 0; at = data.indexOf(newline, from)) {
      if (this.#tokens < 1 && !leapt) {
        leapt = true
        from = this.#leap(stream, data, from)
        if (from > at) continue
      }
      this.#line(stream, this.#joined(stream, data.subarray(from, at)))
      from = at + 1
    }
    if (from < data.length) this.#keep(stream, data.subarray(from))
  }

  /** No more will come: shows what is unfinished and the last lines of a flood. */
  end(): void {
    this.#now = this.#options.now()
    for (const stream of ['stdout', 'stderr'] as const) {
      if (this.#partial[stream].length > 0) this.#line(stream, this.#joined(stream, new Uint8Array(0)))
    }
    const shown = Math.min(this.#unshown, this.#last.length)
    let skipped = this.#unshown - shown
    for (const held of this.#last.slice(this.#last.length - shown)) {
      this.#emit({ stream: held.stream, text: textOf(held.bytes), ...(skipped > 0 ? { skipped } : {}) })
      skipped = 0
    }
    this.#unshown = 0
  }

  /** True when `tail` lacks lines, because the output was forwarded with a gap: `recall` then fills it. */
  get gapped(): boolean {
    return this.#gapped && this.#last.length < this.#options.tail
  }

  /** The last lines as the spool has them; shown at `end` where nothing after the gap was. */
  recall(chunks: Iterable<Pick<OutputChunk, 'stream' | 'data'>>): void {
    const spooled = new LineFeed(() => {}, { tail: this.#options.tail })
    for (const chunk of chunks) spooled.push(chunk)
    spooled.end()
    for (const parts of [this.#partial.stdout, this.#partial.stderr]) if (parts.length > 0) this.#unshown += 1
    this.#last.splice(0, this.#last.length, ...spooled.#last)
    // Else what was shown after the gap stands before the unshown end of them.
    if (this.#gapUnshown) this.#unshown = Math.max(this.#unshown, this.#last.length)
    this.#partial.stdout = []
    this.#partial.stderr = []
    this.#gapped = false
    this.#gapUnshown = false
  }

  /** What comes now is another task's: ends what there is and forgets it. */
  restart(): void {
    this.end()
    this.#last.splice(0)
  }

  /** The last lines of both streams, oldest first, shown or not. */
  tail(): readonly string[] {
    const open = (['stdout', 'stderr'] as const).flatMap((stream) =>
      this.#partial[stream].length > 0 ? [textOf(Buffer.concat(this.#partial[stream]))] : [],
    )
    return [...this.#last.map((held) => textOf(held.bytes)), ...open].slice(-this.#options.tail)
  }

  #refill(): void {
    const { rate, burst } = this.#options
    this.#tokens = Math.min(burst, this.#tokens + ((this.#now - this.#filledAt) * rate) / 1000)
    this.#filledAt = this.#now
  }

  /** None of these lines can be shown: all but the last ones are counted and no more, as a flood has very many. */
  #leap(stream: Line['stream'], data: Uint8Array, from: number): number {
    const ends: number[] = []
    let count = 0
    for (let at = data.indexOf(newline, from); at >= 0; at = data.indexOf(newline, at + 1)) {
      ends[count % (this.#options.tail + 1)] = at
      count += 1
    }
    const passed = count - this.#options.tail
    if (passed <= 0) return from
    this.#unshown += passed
    this.#partial[stream] = []
    return ends[(passed - 1) % (this.#options.tail + 1)]! + 1
  }

  #line(stream: Line['stream'], bytes: Uint8Array): void {
    this.#last.push({ stream, bytes })
    if (this.#last.length > this.#options.tail) this.#last.shift()
    this.#refill()
    if (this.#tokens < 1) {
      this.#unshown += 1
      return
    }
    this.#tokens -= 1
    this.#emit({ stream, text: textOf(bytes), ...(this.#unshown > 0 ? { skipped: this.#unshown } : {}) })
    this.#unshown = 0
    this.#gapUnshown = false
  }

  /** Holds the beginning of a line; shows it when it overwrites itself or gets too long. */
  #keep(stream: Line['stream'], data: Uint8Array): void {
    const parts = this.#partial[stream]
    // A copy: the rest of the chunk may be large.
    parts.push(Uint8Array.prototype.slice.call(data))
    let length = 0
    for (const part of parts) length += part.length
    if (data.includes(carriage) && this.#now - this.#refreshed[stream] >= this.#options.refreshMs) {
      const whole = Buffer.concat(parts)
      // A `\r` at the very end may be half of a line end.
      if (whole.lastIndexOf(carriage, -2) >= 0) {
        this.#refreshed[stream] = this.#now
        const text = textOf(whole)
        if (text !== '') this.#emit({ stream, text })
      }
    }
    if (length > this.#options.longest) this.#shorten(stream)
  }

  #shorten(stream: Line['stream']): void {
    const whole = Buffer.concat(this.#partial[stream])
    // What was overwritten is gone from a terminal too.
    const overwritten = whole.lastIndexOf(carriage, whole.length - 2)
    if (overwritten >= 0 && whole.length - overwritten <= this.#options.longest) {
      this.#partial[stream] = [whole.subarray(overwritten)]
      return
    }
    let from = 0
    while (whole.length - from > this.#options.longest) {
      const to = characterEnd(whole, from + this.#options.longest)
      this.#line(stream, whole.subarray(from, to))
      from = to
    }
    this.#partial[stream] = from < whole.length ? [whole.subarray(from)] : []
  }

  #joined(stream: Line['stream'], end: Uint8Array): Uint8Array {
    const parts = this.#partial[stream]
    if (parts.length === 0) return end
    this.#partial[stream] = []
    return Buffer.concat([...parts, end])
  }

  /** Bytes that were not forwarded: the line they broke is shown as far as it is known, the others are estimated. */
  #gap(stream: Line['stream'], bytes: number): void {
    if (this.#partial[stream].length > 0) this.#line(stream, this.#joined(stream, new Uint8Array(0)))
    this.#unshown += Math.max(1, Math.round(bytes / 80))
    // What is held is not next to what follows any more.
    this.#last.splice(0)
    this.#gapped = true
    this.#gapUnshown = true
  }
}

/** The text that a terminal would show of a line: what follows its last `\r`. */
function textOf(bytes: Uint8Array): string {
  let end = bytes.length
  while (end > 0 && bytes[end - 1] === carriage) end -= 1
  const start = bytes.subarray(0, end).lastIndexOf(carriage) + 1
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('utf8')
}

/** The last place at or before `at` where no character is cut. */
function characterEnd(bytes: Uint8Array, at: number): number {
  for (let back = 0; back < 4; back += 1) if ((bytes[at - back]! & 0xc0) !== 0x80) return at - back
  return at
}
