import type { Late } from '../protocol.js'
import { childrenOf } from '../tree.js'
import type { OwnedGang } from './gang.js'
import type { OwnedMember } from './members.js'

/**
 * Takes what a member says of those below it in the tree: who is not late has been heard. Of whoever is late it is known
 * since when; of those below that one nothing is, until somebody else tells, or they are asked.
 */
export function vouch(gang: OwnedGang, teller: OwnedMember, late: readonly Late[]): void {
  const { fanOut, forming, members } = gang
  if (fanOut === undefined || forming || teller.givenUp) return
  const now = performance.now()
  const lateOf = new Map(late)
  const size = members.size
  const below = (node: number) => {
    for (const child of childrenOf(node, size, fanOut)) {
      const member = gang.at(child)
      const silence = lateOf.get(child)
      if (member) member.vouched = now - (silence ?? 0)
      if (silence === undefined) below(child)
    }
  }
  below(teller.node)
}
