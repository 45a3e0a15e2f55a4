import { pairsAmong } from '../../discovery/pairs.js'
import { GangflowError } from '../../errors/base.js'
import type { Json } from '../../flow/values.js'
import type { ProbeAnswer, ProbeOrder } from '../protocol.js'
import { withAddresses } from '../transport/ssh.js'
import { parentOf } from '../tree.js'
import { Ways, withoutCommon } from '../ways.js'
import { apart } from './apart.js'
import type { OwnedGang } from './gang.js'
import type { OwnedMember } from './members.js'

/** Members up to which each calls every other; above, both neighbours in a ring, a sample of three, and its parent in the tree or the control. */
const ALL_PAIRS = 16
const SAMPLE = 3

/**
 * Has the members find out at which addresses they reach each other, before the epoch opens: each calls some of the
 * others, all at once, with the real handshake of the mesh. What serves most comes first in the roster. A member that
 * a caller cannot reach at any address, nor a second time, ends the attempt. False when it came to an end.
 */
export async function findWays(gang: OwnedGang): Promise<boolean> {
  const { backend } = gang.attempt
  const members = gang.ordered
  if (backend.transport !== 'ssh' || members.length < 2) {
    for (const member of members) member.way = placeOf(member, new Ways(), member.joining!.addresses)
    return true
  }
  const ways = new Ways()
  const known = withoutCommon(members.map(({ joining, memberId }) => ({ ...joining!, memberId })))
  const addresses = new Map(known.map((one) => [one.memberId, one.addresses]))
  const call = async (from: OwnedMember, to: readonly OwnedMember[], each: boolean) => {
    if (to.length === 0) return
    const peers = to.map(({ memberId, joining }) => ({
      memberId,
      listens: withAddresses(joining!.listens, addresses.get(memberId)!),
    }))
    ways.add(from.memberId, await probe(gang, from, { peers, each, limitMs: gang.timeouts.lease * (each ? 2 : 1) }))
  }
  const { fanOut } = gang
  const above = (from: number) => (fanOut === undefined || from === 0 ? 0 : parentOf(from, fanOut))
  const pairs = pairsAmong(members.length, { all: ALL_PAIRS, sample: SAMPLE, center: above })
  const work = async () => {
    await Promise.all(
      members.map((from, at) =>
        call(
          from,
          pairs[at]!.map((to) => members[to]!),
          false,
        ),
      ),
    )
    const contested = ways.contested()
    const again = (from: OwnedMember) =>
      members.filter(({ memberId }) => contested.includes(memberId) && ways.callers(memberId).includes(from.memberId))
    if (contested.length > 0) await Promise.all(members.map((from) => call(from, again(from), true)))
    return 'done' as const
  }
  if ((await Promise.race([work(), gang.ending])) !== 'done') return false
  const gaps = ways.gaps()
  if (gaps.length > 0) {
    gang.fail(...apart(gang, gaps))
    return false
  }
  for (const member of members) member.way = placeOf(member, ways, addresses.get(member.memberId)!)
  return true
}

function placeOf({ memberId, joining }: OwnedMember, ways: Ways, addresses: readonly string[]): OwnedMember['way'] {
  const { host, links, listens } = joining!
  const member = { memberId, host, links, addresses }
  const link = ways.link(member)
  const order = ways.order(member)
  return { addresses: order, listens: withAddresses(listens, order), ...(link === undefined ? {} : { link }) }
}

async function probe(gang: OwnedGang, from: OwnedMember, order: ProbeOrder): Promise<readonly ProbeAnswer[]> {
  try {
    const limitMs = order.limitMs + gang.timeouts.lease
    return await from.call<readonly ProbeAnswer[]>('probe', order as unknown as Json, limitMs)
  } catch (error) {
    // The loss of a member is noticed by exit, silence or connection, with the reason.
    if (GangflowError.is(error) && error.code === 'E_GANG_MEMBER_LOST') return []
    throw error
  }
}
