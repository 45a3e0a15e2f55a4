/** Member ids by number where they end in one: `m10` after `m2`. The lowest living one is the control. */
export function byMemberId(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true })
}

/**
 * Nodes of a new epoch: survivors keep their order, what is new takes the free places between them in order of member
 * id, and the control is node 0. `last` is the last epoch's members in node order.
 */
export function placeMembers(last: readonly string[], living: readonly string[]): readonly string[] {
  const left = new Set(living)
  const fresh = living.filter((id) => !last.includes(id)).sort(byMemberId)
  const placed = last.flatMap((id) => (left.has(id) ? [id] : fresh.splice(0, 1)))
  return [...placed, ...fresh]
}
