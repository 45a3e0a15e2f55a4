import type { Cause } from '../errors/verdict.js'
import type { RetryPolicy } from '../flow/description.js'

/** Failed attempts of a task so far, by why they failed. */
export type FailedAttempts = Readonly<Partial<Record<Cause, number>>>

/** One more. */
export const counted = (failed: FailedAttempts, cause: Cause): FailedAttempts => ({
  ...failed,
  [cause]: (failed[cause] ?? 0) + 1,
})

/**
 * Milliseconds to wait before another attempt, or undefined when there is none: the budget that this cause draws on (its
 * own, else the common one) is used up. `failed` counts this failure too. Pure.
 */
export function retryDelay(policy: RetryPolicy | undefined, failed: FailedAttempts, cause: Cause): number | undefined {
  if (!policy || cause === 'cancelled') return undefined
  const { times, budgets = {}, delayMs, backoff } = policy
  const own = budgets[cause]
  const drawn =
    own === undefined
      ? Object.entries(failed).reduce((sum, [name, count]) => (name in budgets ? sum : sum + (count ?? 0)), 0)
      : (failed[cause] ?? 0)
  if (drawn > (own ?? times)) return undefined
  return Math.min(delayMs * backoff ** (drawn - 1), 2 ** 31 - 1)
}
