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
  const { roster, epoch, nodeIndex: rank, numNodes: size } = gang
  const { addresses } = roster.entries[rank]!
  const hosts = new Set(roster.entries.map(({ host }) => host))
  const name = `${epoch}/${number}`
  const { connectTimeout = 60_000 } = options
  return connect({
    ...options,
    rank,
    size,
    name,
    secret: size === 1 ? new Uint8Array(32) : await gang.key(`tfjs/collectives/${name}`),
    signal: gang.signal,
    listen: { directory: gang.temp, ...(hosts.size > 1 ? { host: addresses[0]! } : {}) },
    addresses: (mine: Place) =>
      gang.allGather(reachable(mine, addresses), { timeout: connectTimeout, signal: gang.signal }),
  })
}

/** The port is the same at every address at which peers have found this member. */
function reachable(mine: Place, addresses: readonly string[]): Place {
  const port = mine.tcp?.[0]?.match(/\d+$/)?.[0]
  return port === undefined ? mine : { ...mine, tcp: addresses.map((address) => tcpAddress(address, Number(port))) }
}
