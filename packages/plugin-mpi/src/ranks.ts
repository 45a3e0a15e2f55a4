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
  /** `performance.now()` here, when its end was heard of. */
  endedAt?: number
}

/** What the wrappers report, from all members. */
export class Ranks {
  readonly #all = new Map<number, Rank>()
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

  /** Those that failed, in the order in which it was heard. */
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
      const [size, , pid] = rest.map(Number)
      this.#all.set(rank, { rank, node, host: this.#hosts[node] ?? '', size: size!, pid: pid!, lastLines: [] })
      this.#last = performance.now()
    }
    const known = this.#all.get(rank)
    if (!known) return
    if (kind === 'child') known.pid = Number(rest[0])
    else if (kind === 'lib') known.library = rest.join(' ')
    else if (kind === 'tail') known.lastLines.push(rest.join(' '))
    else if (kind === 'end') this.#end(known, readEnd(rest))
    // The wrapper itself was killed: its rank went with it.
    else if (kind === 'gone') this.#end(known, { code: null, signal: 'SIGKILL', durationMs: 0 })
    this.#listener()
  }

  close(): void {
    this.closed = true
    this.#listener()
  }

  #end(rank: Rank, end: RankEnd): void {
    rank.end = end
    rank.endedAt = performance.now()
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
