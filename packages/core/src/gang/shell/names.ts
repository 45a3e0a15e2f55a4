import { GangflowError } from '../../errors/base.js'

/** What of a member's entry says how it may be called. */
export interface Named {
  readonly node: number
  readonly memberId: string
  readonly host: string
  readonly addresses: readonly string[]
}

/** Every name of a member: its index, `node-INDEX`, its member id, its host (short too), its addresses. */
export const namesOf = ({ node, memberId, host, addresses }: Named): readonly string[] => [
  ...new Set([String(node), `node-${node}`, memberId, host, host.split('.')[0]!, ...addresses]),
]

/**
 * The member that a program means by a host's name. Where several share a host, that is the asking one (`self`), if it
 * is among them, else the first. Throws `E_GANG_HOST` for a name that nobody has.
 */
export function findNamed<E extends Named>(entries: readonly E[], name: string, self?: number): E {
  const exact = entries.find(
    ({ node, memberId }) => String(node) === name || memberId === name || `node-${node}` === name,
  )
  if (exact) return exact
  const all = entries.filter((entry) => namesOf(entry).includes(name))
  const own = entries.find(({ node }) => node === self)
  if (own && (all.includes(own) || ((name === 'localhost' || name === '127.0.0.1') && all.length === 0))) return own
  if (all[0]) return all[0]
  const known = entries.slice(0, 8).map(({ node, memberId, host }) => `${node} (${memberId}, ${host})`)
  throw new GangflowError({
    code: 'E_GANG_HOST',
    what: `no member of this gang is called '${name}'`,
    fix: `a node's index, member id, host or address: ${known.join(', ')}${entries.length > 8 ? ', …' : ''}`,
  })
}
