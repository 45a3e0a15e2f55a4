import { readFileSync } from 'node:fs'
import { environmentOf, listProcesses, type ProcessFacts } from './identity.js'

/** What is known from outside of a keeper, agent or process that may be dead already. */
export interface ReapRequest {
  readonly pid?: number
  /** Of `pid`; without it, `pid` counts only while one of its number carries the mark. */
  readonly startTime?: string
  /** Sessions that were recorded as its. */
  readonly sessions?: readonly number[]
  /** GANGFLOW_MARK of what is meant: exactly it, or anything below it (`mark/…`). */
  readonly mark?: string
  /** The tag that a keeper gave to all that it started; a base of 0 is none. */
  readonly tag?: ProcessTag
  /** TERM to KILL, in milliseconds. Default 0: KILL at once. */
  readonly graceMs?: number
  /** Milliseconds until it gives up on what does not die. Default 10 s. */
  readonly timeoutMs?: number
}

/** A process is meant whose soft limit on real-time CPU time, under the mask, is the base (docs/reference/keeper.md). */
export interface ProcessTag {
  readonly base: bigint
  readonly mask: bigint
}

export interface Reaped {
  /** Processes that were signalled. */
  readonly ended: number
  /** Those left when time was up: state D, or another user's. */
  readonly left: readonly number[]
}

/**
 * Ends from outside what a keeper can no longer end: the process itself by pid and start time, what descends from
 * it, the recorded sessions, and whatever carries the mark in its environment or the tag; repeated until nothing is
 * left. This process and its ancestors are never touched.
 */
export async function reap(request: ReapRequest): Promise<Reaped> {
  const begun = performance.now()
  const { graceMs = 0, timeoutMs = 10_000 } = request
  const known = new Map<number, string>()
  const termed = new Set<number>()
  for (let empty = 0; ; ) {
    const found = belonging(request, known)
    for (const { pid, startTime } of found) known.set(pid, startTime)
    const elapsed = performance.now() - begun
    if (found.length === 0 && ++empty === 2) return { ended: known.size, left: [] }
    if (found.length > 0) empty = 0
    if (elapsed > graceMs + timeoutMs) return { ended: known.size, left: found.map(({ pid }) => pid) }
    // What a process starts in answer to TERM is left alone until the KILL.
    const fresh = found.filter(({ pid, ppid }) => !termed.has(pid) && !termed.has(ppid))
    for (const { pid } of elapsed >= graceMs ? found : fresh) kill(pid, elapsed >= graceMs ? 'SIGKILL' : 'SIGTERM')
    for (const { pid } of found) termed.add(pid)
    if (empty === 0) await new Promise((resolve) => setTimeout(resolve, elapsed < 200 ? 5 : 50))
  }
}

function belonging(request: ReapRequest, known: ReadonlyMap<number, string>): ProcessFacts[] {
  const all = new Map(listProcesses().map((facts) => [facts.pid, facts]))
  const mine = ancestors(all)
  const sessions = new Set(request.sessions)
  const verdicts = new Map<number, boolean>()
  const ours = (facts: ProcessFacts): boolean => {
    const before = verdicts.get(facts.pid)
    if (before !== undefined) return before
    verdicts.set(facts.pid, false)
    const parent = all.get(facts.ppid)
    const is =
      known.get(facts.pid) === facts.startTime ||
      (facts.pid === request.pid && facts.startTime === request.startTime) ||
      sessions.has(facts.session) ||
      (parent !== undefined && !mine.has(parent.pid) && ours(parent)) ||
      carries(facts.pid, request.mark) ||
      tagged(facts.pid, request.tag)
    verdicts.set(facts.pid, is)
    return is
  }
  return [...all.values()].filter((facts) => !mine.has(facts.pid) && facts.alive && ours(facts))
}

/** Whether the environment that a process was started with has the mark, or one below it. */
function carries(pid: number, mark: string | undefined): boolean {
  if (mark === undefined || mark === '') return false
  const own = environmentOf(pid)?.['GANGFLOW_MARK']
  return own === mark || own?.startsWith(`${mark}/`) === true
}

function tagged(pid: number, tag: ProcessTag | undefined): boolean {
  if (tag === undefined || tag.base === 0n) return false
  try {
    const limit = /^Max realtime timeout +(\d+) /m.exec(readFileSync(`/proc/${pid}/limits`, 'latin1'))?.[1]
    return limit !== undefined && (BigInt(limit) & tag.mask) === tag.base
  } catch {
    return false
  }
}

function ancestors(all: ReadonlyMap<number, ProcessFacts>): ReadonlySet<number> {
  const line = new Set<number>()
  for (let pid = process.pid; pid > 0 && !line.has(pid); pid = all.get(pid)?.ppid ?? 0) line.add(pid)
  return line
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // Gone, or another user's: the next look tells.
  }
}
