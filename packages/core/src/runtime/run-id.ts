let last = 0

/**
 * A run's id: microseconds since 1970, as Metaflow's. Sixteen digits, so that ids sort by start as text and as
 * numbers. Two processes may draw the same: creating the run's record decides.
 */
export function newRunId(now = Date.now()): string {
  last = Math.max(last + 1, now * 1000 + Math.floor(Math.random() * 1000))
  return String(last)
}
