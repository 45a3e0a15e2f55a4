import { random } from '../../../tests/support/random.js'

/** Numbers that follow from a seed: `random(n)` is a whole number below n, `random.float()` lies in [-1, 1). */
export function seeded(seed: number) {
  const next = random(seed)
  const below = (count: number) => Math.floor(next() * count)
  return Object.assign(below, {
    float: () => next() * 2 - 1,
    of: <T>(items: readonly T[]): T => items[below(items.length)] as T,
    between: (low: number, high: number) => low + below(high - low + 1),
  })
}
