import { GangflowError } from '@gangflow/core'

/** The part of a roster's entry that a plan reads. */
export interface PlanNode {
  readonly node: number
  readonly host: string
  /** At which the others reach it, best first. */
  readonly addresses: readonly string[]
  /** Its network interface to the gang's network. */
  readonly interface?: string
  readonly slots: number
}

/** One host as the launcher sees it: members that share it are one line of the hostfile. */
export interface HostLine {
  /** By which the launcher, and the gang's remote shell, find it. */
  readonly address: string
  readonly host: string
  readonly slots: number
  /** Ranks that it gets: its slots in turn, and round by round what is more. */
  readonly ranks: number
  /** Its members; `first` is the first local rank that is theirs. */
  readonly members: readonly { readonly node: number; readonly first: number; readonly slots: number }[]
}

export interface World {
  readonly np: number
  readonly slots: number
  /** The control's host first. */
  readonly lines: readonly HostLine[]
}

/**
 * Who gets how many ranks. Members of one host are folded: Open MPI takes two lines of one host name for one host and
 * then hangs or crashes. Pure; throws `E_MPI_SLOTS`.
 */
export function planWorld(nodes: readonly PlanNode[], asked: number | undefined, oversubscribe: boolean): World {
  const folded: PlanNode[][] = []
  for (const node of nodes) {
    const line = folded.find(([first]) => isSameHost(first!, node))
    if (line) line.push(node)
    else folded.push([node])
  }
  const slots = nodes.reduce((sum, node) => sum + node.slots, 0)
  const np = asked ?? slots
  if (np > slots && !oversubscribe)
    throw new GangflowError({
      code: 'E_MPI_SLOTS',
      what: `${np} ranks are asked for, and the gang has ${slots} slots: ${slotsInWords(nodes)}`,
      fix: 'ask for more by @resources({ cpu }) or slots= in the hosts file, or allow it: oversubscribe: true',
      details: { np, slots },
    })
  const ranks = share(
    folded.map((members) => members.reduce((sum, { slots }) => sum + slots, 0)),
    np,
  )
  return {
    np,
    slots,
    lines: folded.map((members, index) => {
      let first = 0
      return {
        address: folded.length === 1 ? 'localhost' : addressOf(members[0]!),
        host: members[0]!.host,
        slots: members.reduce((sum, member) => sum + member.slots, 0),
        ranks: ranks[index]!,
        members: members.map(({ node, slots }) => {
          first += slots
          return { node, first: first - slots, slots }
        }),
      }
    }),
  }
}

/** Filled in turn; what does not fit goes round. */
function share(slots: readonly number[], np: number): number[] {
  const ranks = slots.map(() => 0)
  let left = np
  for (const [index, room] of slots.entries()) {
    ranks[index] = Math.min(room, left)
    left -= ranks[index]!
  }
  for (let index = 0; left > 0; index = (index + 1) % slots.length, left--) ranks[index]! += 1
  return ranks
}

function isSameHost(one: PlanNode, other: PlanNode): boolean {
  if (one.host === other.host) return true
  const [address] = one.addresses
  return address !== undefined && address === other.addresses[0]
}

/** IPv4 if it has one: a hostfile's `HOST:SLOTS` leaves no room for colons. */
const addressOf = ({ addresses, host }: PlanNode): string =>
  addresses.find((address) => /^\d+(?:\.\d+){3}$/.test(address)) ?? host

function slotsInWords(nodes: readonly PlanNode[]): string {
  const counts = nodes.slice(0, 8).map(({ node, host, slots }) => `${slots} on node ${node} (${host})`)
  return counts.join(', ') + (nodes.length > counts.length ? ', …' : '')
}
