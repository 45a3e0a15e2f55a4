/** Numbers that follow from a seed: `random(n)` is a whole number below n, `random.float()` lies in [-1, 1). */
export function seeded(seed: number) {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (count: number) => Math.floor(next() * count)
  return Object.assign(below, {
    float: () => next() * 2 - 1,
    of: <T>(items: readonly T[]): T => items[below(items.length)] as T,
    between: (low: number, high: number) => low + below(high - low + 1),
  })
}
