import type { SourceLocation } from '../errors/base.js'
import type { Complaint } from './description.js'

/** Collects what is wrong with a flow, each with step, place and fix. */
export interface Complaints {
  readonly list: Complaint[]
  /** `location` defaults to the step's own, or the flow's. */
  add(code: string, step: string | undefined, what: string, fix: string, location?: SourceLocation): void
}

export function collectComplaints(locationOf: (step: string | undefined) => SourceLocation | undefined): Complaints {
  const list: Complaint[] = []
  return {
    list,
    add(code, step, what, fix, location = locationOf(step)) {
      list.push({ code, what, fix, ...(step !== undefined && { step }), ...(location && { location }) })
    },
  }
}

/** The candidate that a misspelt name most likely means. */
export function nearest(name: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined
  let least = Math.max(2, Math.floor(name.length / 3)) + 1
  for (const candidate of candidates) {
    const distance = edits(name.toLowerCase(), candidate.toLowerCase())
    if (distance < least) [best, least] = [candidate, distance]
  }
  return best
}

function edits(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++)
      next[j] = Math.min(next[j - 1]! + 1, row[j]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1))
    row = next
  }
  return row[b.length]!
}
