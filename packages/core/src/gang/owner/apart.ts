import { nodes } from '../agent/collectives.js'
import type { Failure } from '../protocol.js'
import type { Gap } from '../ways.js'
import type { OwnedGang } from './gang.js'
import type { OwnedMember } from './members.js'

/** Members that cannot reach each other, as the gang's failure: who, from whom, at which addresses. */
export function apart(gang: OwnedGang, gaps: readonly Gap[]): [failure: Failure, at: number, node: number] {
  const of = (memberId: string) => gang.members.get(memberId)!
  const count = (memberId: string, end: 'from' | 'to') => gaps.filter((gap) => gap[end] === memberId).length
  const ids = [...new Set(gaps.flatMap(({ from, to }) => [to, from]))]
  const score = (id: string) => count(id, 'to') + count(id, 'from')
  // Who is in most of the gaps is the one with the trouble; of two alike, the one that was called.
  const worst = ids.reduce((best, id) => (score(id) > score(best) ? id : best))
  const isDeaf = count(worst, 'to') === 0
  const member = of(worst)
  const own = gaps.filter((gap) => gap[isDeaf ? 'from' : 'to'] === worst)
  const others = own.map((gap) => of(gap[isDeaf ? 'to' : 'from']))
  const summary = isDeaf
    ? `${name(member)} cannot reach ${nodes(sorted(others))}: ${triedText(own, true, of)}`
    : `${name(member)} cannot be reached by ${nodes(sorted(others))}: ${triedText(own, false, of)}`
  return [
    {
      casualty: { kind: 'member', node: member.node, memberId: worst, host: member.host },
      cause: 'infrastructure',
      // Where nobody listens any more, an agent may have died, which is heard of in a moment.
      weight: gaps.every(({ tried }) => tried.every(({ refused }) => refused)) ? 'echo' : 'own',
      code: 'E_GANG_APART',
      summary,
      fix: 'members must reach each other directly: open the TCP ports from 1024 on between the hosts (firewall, security group); `gangflow doctor --hosts …` tries each pair',
    },
    performance.now(),
    member.node,
  ]
}

const name = ({ node, host }: OwnedMember): string => `node ${node} (${host})`

const sorted = (members: readonly OwnedMember[]): number[] => members.map(({ node }) => node).sort((a, b) => a - b)

/** Each address once, with what it gave; at most six. */
function triedText(gaps: readonly Gap[], withHost: boolean, of: (memberId: string) => OwnedMember): string {
  const all = gaps.flatMap(({ to, tried }) =>
    tried.map(({ address, why }) => `${address}${withHost ? ` of node ${of(to).node}` : ''} (${why})`),
  )
  const each = [...new Set(all)]
  if (each.length === 0) return 'it has no address'
  return each.length <= 6 ? each.join(', ') : `${each.slice(0, 5).join(', ')} and ${each.length - 5} more`
}
