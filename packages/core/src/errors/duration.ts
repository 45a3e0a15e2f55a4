import { GangflowError } from './base.js'

/** A length of time: milliseconds as a number, or text such as `'30s'`, `'500ms'`, `'1.5h'`, `'1h30m'`. */
export type Duration = number | string

const unit = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const
const shape = /^(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+$/

/** Milliseconds of a duration; throws `E_DURATION` on anything else than a finite, non-negative length. */
export function milliseconds(duration: Duration): number {
  if (typeof duration === 'number' && Number.isFinite(duration) && duration >= 0) return duration
  if (typeof duration === 'string' && shape.test(duration)) {
    let sum = 0
    for (const [, amount, name] of duration.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)) {
      sum += Number(amount) * unit[name as keyof typeof unit]
    }
    return sum
  }
  throw new GangflowError({
    code: 'E_DURATION',
    what: `${typeof duration === 'number' ? duration : JSON.stringify(duration)} is no duration`,
    fix: "use a number of milliseconds, or text such as '500ms', '30s', '5m', '1h30m'",
  })
}
