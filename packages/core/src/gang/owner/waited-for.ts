import { nodes } from '../agent/collectives.js'
import type { Failure } from '../protocol.js'
import type { OwnedGang } from './gang.js'
import type { OwnedMember } from './members.js'

/** Members that are described one by one. */
const SHOWN = 4

/** What a person wants to know of members that something waits for: when they were last heard of, and where they are. */
export function waitedFor(gang: OwnedGang, members: readonly OwnedMember[]): string {
  const now = performance.now()
  const told = members.slice(0, SHOWN).map((member) => {
    const ago = Math.round((now - member.aliveAt) / 100) / 10
    const heard = member.joining ? `heard of ${ago} s ago` : 'it has not joined'
    const line = member.lastLines().at(-1) ?? (member.joining ? undefined : member.backed.lastLines?.().at(-1))
    const parts = [
      heard,
      ...(member.joining ? [] : [member.backed.look?.().text ?? []].flat()),
      ...(member.at?.waits ? [`waits in ${member.at.waits}${whom(gang, member)}`] : []),
      line === undefined ? 'it has said nothing' : `last line: ${JSON.stringify(line.slice(0, 200))}`,
    ]
    return `node ${member.node} (${member.memberId} on ${member.host}; ${parts.join('; ')})`
  })
  const more = members.length - told.length
  return `${told.join(', ')}${more > 0 ? ` and ${more} more` : ''}`
}

/** Who has not come to the collective in which a member waits. */
function whom(gang: OwnedGang, member: OwnedMember): string {
  const late = gang.ordered.filter((other) => other.at !== undefined && other.at.calls < (member.at?.calls ?? 0))
  return late.length > 0 ? ` for ${nodes(late.map(({ node }) => node))}` : ''
}

/** A phase that took too long: its name, its limit, and those who are waited for. */
export function late(
  gang: OwnedGang,
  members: readonly OwnedMember[],
  about: { readonly code: string; readonly what: string; readonly fix: string },
): void {
  const [only] = members.length === 1 ? members : []
  const failure: Failure = {
    casualty: {
      kind: 'member',
      ...(only ? { node: only.node, host: only.host, memberId: only.memberId } : {}),
      ...(only && only.lastLines().length > 0 ? { lastLines: only.lastLines() } : {}),
    },
    cause: 'timeout',
    weight: 'own',
    code: about.code,
    summary: `${about.what}; waited for: ${waitedFor(gang, members)}`,
    fix: about.fix,
  }
  gang.fail(failure, performance.now(), only?.node)
}

/** `90 s`, `10 min`. */
export const lengthOf = (ms: number): string => (ms >= 600_000 ? `${Math.round(ms / 60_000)} min` : `${ms / 1000} s`)
