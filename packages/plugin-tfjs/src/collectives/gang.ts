import type { Current } from '@gangflow/core'
import type { GangContext } from '@gangflow/core/plugin'
import { connect, tcpAddress } from './connect.js'
import type { Collectives, ConnectOptions, Place } from './contract.js'

/** How the collectives of a gang can be tuned; see `ConnectOptions`. */
export type GangCollectivesOptions = Pick<ConnectOptions, 'connectTimeout' | 'timeout' | 'silence'>

/** How many were made on a gang: the same number on every member names the same ones. */
const made = new WeakMap<object, number>()

/**
 * Collectives over the bodies of the gang that runs this step: rank is `nodeIndex`. Every member calls it, as often as
 * the others. Connections are authenticated by a key of the epoch, over unix sockets within a host and TCP on the
 * members' probed addresses between hosts. When the gang stops, calls end with its reason.
 */
export async function collectives(
  current: Pick<Current, 'parallel'> | GangContext,
  options: GangCollectivesOptions = {},
): Promise<Collectives> {
  // In a body `current.parallel` is the context that plugins get.
  const gang = ('parallel' in current ? current.parallel : current) as GangContext
  const number = (made.get(gang) ?? 0) + 1
  made.set(gang, number)
  const { epoch, numNodes } = gang
  const members = Array.from({ length: numNodes }, (_, node) => node)
  const [all] = await connectGroups(gang, [{ name: `${epoch}/${number}`, members }], options)
  return all as Collectives
}

/** Members that have collectives of their own: rank is the place in `members`. */
export interface Group {
  /** The same on its members, and no other group's of this epoch. */
  readonly name: string
  readonly members: readonly number[]
}

/** This member's groups. Every member of the gang calls it, also one that is in no group. */
export async function connectGroups(
  gang: GangContext,
  groups: readonly Group[],
  options: GangCollectivesOptions = {},
): Promise<Collectives[]> {
  const { nodeIndex, roster, signal } = gang
  const { connectTimeout = 60_000 } = options
  const { addresses } = roster.entries[nodeIndex]!
  const hosts = new Set(roster.entries.map(({ host }) => host))
  const mine: Record<string, Place> = {}
  let told = () => {}
  const allTold = new Promise<void>((resolve) => (told = resolve))
  // One exchange for all: no group waits for another one of a member that waits for it.
  const count = groups.filter(({ members }) => members.length > 1).length
  if (count === 0) told()
  const everyone = allTold.then(() => gang.allGather(mine, { timeout: connectTimeout, signal }))
  const connected = Promise.all(
    groups.map(async ({ name, members }) =>
      connect({
        ...options,
        rank: members.indexOf(nodeIndex),
        size: members.length,
        name,
        secret: members.length === 1 ? new Uint8Array(32) : await gang.key(`tfjs/collectives/${name}`),
        signal,
        listen: { directory: gang.temp, ...(hosts.size > 1 ? { host: addresses[0]! } : {}) },
        addresses: async (place: Place) => {
          mine[name] = reachable(place, addresses)
          if (Object.keys(mine).length === count) told()
          const all = await everyone
          return members.map((node) => all[node]![name]!)
        },
      }),
    ),
  )
  const [all] = await Promise.all([connected, count === 0 ? everyone : undefined])
  return all
}

/** The port is the same at every address at which peers have found this member. */
function reachable(mine: Place, addresses: readonly string[]): Place {
  const port = mine.tcp?.[0]?.match(/\d+$/)?.[0]
  return port === undefined ? mine : { ...mine, tcp: addresses.map((address) => tcpAddress(address, Number(port))) }
}
