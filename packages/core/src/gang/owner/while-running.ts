/** Into so many parts a wait is cut; of each no more than half as much again counts. */
const PARTS = 5

/**
 * Calls `over` after `ms` in which this process ran. What it stood still, or was too busy to hear what had come, counts for
 * nobody (D4), and what has come by the end is heard first.
 */
export function whileRunning(ms: number, over: () => void): void {
  const part = ms / PARTS
  let left = ms
  let ticked = performance.now()
  const timer = setInterval(() => {
    const now = performance.now()
    left -= Math.min(now - ticked, part * 1.5)
    ticked = now
    if (left > 0) return
    clearInterval(timer)
    setImmediate(over)
  }, part)
}
