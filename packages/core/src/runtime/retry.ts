import type { RetryPolicy } from '../flow/description.js'

/** Milliseconds to wait after a failed attempt (counted from 0), or undefined when there is none further. */
export function retryDelay(policy: RetryPolicy | undefined, failed: number): number | undefined {
  if (!policy || failed >= policy.times) return undefined
  return Math.min(policy.delayMs * policy.backoff ** failed, 2 ** 31 - 1)
}
