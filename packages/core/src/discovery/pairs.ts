export interface PairsOptions {
  /** Members up to which every pair is tried. Default 64. */
  readonly all?: number
  /** Further peers of each member above that. Default 4. */
  readonly sample?: number
  /** Whom a member calls besides, as a control. */
  readonly center?: (from: number) => number
}

/**
 * For each of `count` members the indices of the peers that it calls: all others, or, above the limit, both neighbours in
 * a ring and a few more, the same ones each time: O(N) in all. Pure.
 */
export function pairsAmong(count: number, options: PairsOptions = {}): number[][] {
  const { all = 64, sample = 4, center } = options
  const dice = seeded(count)
  return Array.from({ length: count }, (_, from) => {
    if (count <= all) return Array.from({ length: count }, (_, to) => to).filter((to) => to !== from)
    const chosen = new Set([(from + 1) % count, (from + count - 1) % count])
    while (chosen.size < Math.min(2 + sample, count - 1)) {
      const to = dice(count)
      if (to !== from) chosen.add(to)
    }
    const besides = center?.(from) ?? from
    if (besides !== from) chosen.add(besides)
    return [...chosen].sort((a, b) => a - b)
  })
}

/** A linear congruential generator: whole numbers below `limit`. */
function seeded(seed: number): (limit: number) => number {
  let state = seed >>> 0
  return (limit) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * limit)
  }
}
