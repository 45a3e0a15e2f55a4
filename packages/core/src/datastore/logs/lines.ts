import type { LogRecord } from '../log-format.js'

export interface LogLine {
  readonly stream: 'stdout' | 'stderr'
  /** Nanoseconds of its host's monotonic clock, when the line was complete. */
  readonly at: bigint
  /** Without its line end; of a line that overwrote itself with `\r`, what a terminal would show in the end. */
  readonly text: string
}

/** Bytes after which a line without end is given in pieces. */
const LONGEST = 1 << 20
const newline = 10
const carriage = 13

/** Cuts records into lines, per stream, never inside a character. */
export class LineCutter {
  readonly #held = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] }
  readonly #at = { stdout: 0n, stderr: 0n }

  constructor(private readonly raw = false) {}

  *cut({ stream, at, data }: LogRecord): Generator<LogLine> {
    let from = 0
    for (let end = data.indexOf(newline); end >= 0; end = data.indexOf(newline, from)) {
      yield this.#line(stream, at, [...this.#take(stream), data.subarray(from, end)])
      from = end + 1
    }
    if (from === data.length) return
    this.#held[stream].push(data.subarray(from))
    this.#at[stream] = at
    yield* this.#shorten(stream)
  }

  /** What has no line end. */
  *end(): Generator<LogLine> {
    for (const stream of ['stdout', 'stderr'] as const) {
      const held = this.#take(stream)
      if (held.length > 0) yield this.#line(stream, this.#at[stream], held)
    }
  }

  #take(stream: LogLine['stream']): Uint8Array[] {
    const held = this.#held[stream]
    this.#held[stream] = []
    return held
  }

  *#shorten(stream: LogLine['stream']): Generator<LogLine> {
    let length = 0
    for (const part of this.#held[stream]) length += part.length
    if (length <= LONGEST) return
    const whole = Buffer.concat(this.#take(stream))
    const overwritten = this.raw ? -1 : whole.lastIndexOf(carriage, whole.length - 2)
    let from = Math.max(overwritten, 0)
    while (whole.length - from > LONGEST) {
      const to = characterEnd(whole, from + LONGEST)
      yield this.#line(stream, this.#at[stream], [whole.subarray(from, to)])
      from = to
    }
    this.#held[stream] = [Buffer.from(whole.subarray(from))]
  }

  #line(stream: LogLine['stream'], at: bigint, parts: Uint8Array[]): LogLine {
    const bytes = parts.length === 1 ? parts[0]! : Buffer.concat(parts)
    let end = bytes.length
    let start = 0
    if (!this.raw) {
      while (end > 0 && bytes[end - 1] === carriage) end--
      start = bytes.subarray(0, end).lastIndexOf(carriage) + 1
    }
    return { stream, at, text: Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('utf8') }
  }
}

/** The last place at or before `at` where no character is cut. */
function characterEnd(bytes: Uint8Array, at: number): number {
  for (let back = 0; back < 4; back++) if ((bytes[at - back]! & 0xc0) !== 0x80) return at - back
  return at
}
