import type { RunEvent } from './contract.js'

/** Kept lines of a run's events, for readers that come late or read slowly; more are skipped and counted. */
export const KEPT_LINES = 20_000

type LineEvent = RunEvent & { type: 'line' }
interface Entry {
  readonly seq: number
  readonly event: RunEvent
  /** For a line: its process, and how many lines of it there were up to this one. */
  readonly source?: string
  readonly total?: number
}

/**
 * A run's events in order, from the start, for any number of readers. Everything but lines is kept; of the lines the
 * oldest go first, and the next line of the same process says how many a reader missed.
 */
export class EventLog implements AsyncIterable<RunEvent> {
  private entries: Entry[] = []
  private seq = 0
  private lines = 0
  private readonly totals = new Map<string, number>()
  private readonly waiting = new Set<() => void>()
  private closed = false

  constructor(private keptLines = KEPT_LINES) {}

  emit(event: RunEvent): void {
    if (this.closed) return
    this.seq += 1
    if (event.type === 'line') this.line(event)
    else this.entries.push({ seq: this.seq, event })
    this.wake()
  }

  /** After this, readers end when they have read what there is. */
  close(): void {
    this.closed = true
    this.wake()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<RunEvent, void, undefined> {
    const seen = new Map<string, number>()
    for (let last = 0; ; ) {
      let index = this.after(last)
      if (index === this.entries.length) {
        if (this.closed) return
        await new Promise<void>((resolve) => this.waiting.add(resolve))
        continue
      }
      // While the reader works on one event the entries may be thinned: hence the look-up after each.
      const entries = this.entries
      for (; index < entries.length && entries === this.entries; index++) {
        const entry = entries[index]!
        last = entry.seq
        yield this.seenBy(seen, entry)
      }
    }
  }

  private line(event: LineEvent): void {
    const source = `${event.step}/${event.task}/${event.attempt}/${event.node ?? ''}/${event.process}/${event.stream}`
    const total = (this.totals.get(source) ?? 0) + 1 + (event.skipped ?? 0)
    this.totals.set(source, total)
    this.entries.push({ seq: this.seq, event, source, total })
    this.lines += 1
    if (this.lines > this.keptLines) this.thin()
  }

  /** Drops the older half of the lines, but the last of each process. */
  private thin(): void {
    let drop = Math.ceil(this.lines / 2)
    this.entries = this.entries.filter((entry) => {
      if (entry.source === undefined || drop === 0 || this.totals.get(entry.source) === entry.total) return true
      drop -= 1
      this.lines -= 1
      return false
    })
    // Where nearly all are last lines there is nothing to drop: do not look again at every line.
    if (this.lines > this.keptLines / 2) this.keptLines = this.lines * 2
  }

  private seenBy(seen: Map<string, number>, { event, source, total }: Entry): RunEvent {
    if (source === undefined || event.type !== 'line') return event
    const skipped = total! - (seen.get(source) ?? 0) - 1
    seen.set(source, total!)
    if (skipped === (event.skipped ?? 0)) return event
    return { ...event, skipped }
  }

  /** Index of the first entry after a sequence number. */
  private after(seq: number): number {
    let low = 0
    let high = this.entries.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.entries[middle]!.seq <= seq) low = middle + 1
      else high = middle
    }
    return low
  }

  private wake(): void {
    for (const resolve of this.waiting) resolve()
    this.waiting.clear()
  }
}
