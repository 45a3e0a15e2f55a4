import type { Roster } from '@gangflow/core'
import { signalName } from './signals.js'

/** How a rank ended; `trouble`: it could not begin. */
export interface RankEnd {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly trouble?: string
  readonly durationMs: number
}

/** One rank as its wrapper tells of it. */
export interface Rank {
  readonly rank: number
  readonly node: number
  readonly host: string
  /** Of the world as the launcher has made it. */
  readonly size: number
  pid: number
  /** The MPI library that its program has loaded. */
  library?: string
  /** Last lines of one that failed. */
  readonly lastLines: string[]
  end?: RankEnd
  /** `performance.now()` here at its end, as nearly as its member's clock can tell; never later than it was heard of. */
  endedAt?: number
}

/** A rank, and when it began by its host's monotonic clock, in milliseconds. */
interface Known extends Rank {
  readonly began: number
  /** Its end, by the same clock. */
  over?: number
}

/** What the wrappers report, from all members. */
export class Ranks {
  readonly #all = new Map<number, Known>()
  /** By node: how far this clock is ahead of its host's, with the quickest report's way on top. */
  readonly #ahead = new Map<number, number>()
  readonly #hosts: readonly string[]
  #listener: () => void = () => {}
  #last = 0
  closed = false

  constructor(roster: Roster) {
    this.#hosts = roster.entries.map(({ host }) => host)
  }

  /** Called after each report. */
  onChange(listener: () => void): void {
    this.#listener = listener
  }

  /** In rank order. */
  get all(): readonly Rank[] {
    return [...this.#all.values()].sort((a, b) => a.rank - b.rank)
  }

  /** `performance.now()` of the last start. */
  get startedAt(): number {
    return this.#last
  }

  /** Those that failed, the first one first. */
  get failed(): readonly Rank[] {
    return this.all.filter(({ end }) => end && end.code !== 0).sort((a, b) => a.endedAt! - b.endedAt!)
  }

  /** True when ranks 0 to np - 1 have all ended with 0. */
  wellEnded(np: number): boolean {
    return this.#all.size === np && this.all.every(({ end }) => end?.code === 0)
  }

  /** A line of a member's `gangflow-keeper ranks`. */
  hear(node: number, text: string): void {
    const [kind, number, ...rest] = text.split(' ')
    const rank = Number(number)
    if (kind === 'hello') {
      const [size, , pid, began] = rest.map(Number)
      const host = this.#hosts[node] ?? ''
      this.#all.set(rank, { rank, node, host, size: size!, pid: pid!, began: began!, lastLines: [] })
      this.#compare(node, began!)
      this.#last = performance.now()
    }
    const known = this.#all.get(rank)
    if (!known) return
    if (kind === 'child') known.pid = Number(rest[0])
    else if (kind === 'lib') known.library = rest.join(' ')
    else if (kind === 'tail') known.lastLines.push(rest.join(' '))
    else if (kind === 'end') this.#end(known, readEnd(rest))
    // The wrapper itself was killed: its rank went with it.
    else if (kind === 'gone') {
      known.end = { code: null, signal: 'SIGKILL', durationMs: 0 }
      known.endedAt = performance.now()
    }
    this.#listener()
  }

  close(): void {
    this.closed = true
    this.#listener()
  }

  /** A report that waited on its way is not taken for a later end. */
  #end(rank: Known, end: RankEnd): void {
    rank.end = end
    rank.over = rank.began + end.durationMs
    this.#compare(rank.node, rank.over)
    rank.endedAt = rank.over + this.#ahead.get(rank.node)!
  }

  #compare(node: number, there: number): void {
    const ahead = performance.now() - there
    if (ahead >= (this.#ahead.get(node) ?? Number.POSITIVE_INFINITY)) return
    this.#ahead.set(node, ahead)
    for (const rank of this.#all.values())
      if (rank.node === node && rank.over !== undefined) rank.endedAt = rank.over + ahead
  }
}

function readEnd([how, value, ms]: readonly string[]): RankEnd {
  const number = Number(value)
  const durationMs = Number(ms)
  if (how === 'signal') return { code: null, signal: signalName(number), durationMs }
  if (how === 'code') return { code: number, signal: null, durationMs }
  const what = how === 'cwd' ? 'its working directory cannot be entered' : 'its program cannot be started'
  return { code: 127, signal: null, trouble: `${what} (errno ${number})`, durationMs }
}
