import { formatAddress } from '../../ssh/address.js'
import type { Rendezvous } from './contract.js'

/** Ports that are tried: below the range from which systems give ports to outgoing connections. */
const LOWEST = 20_000
const HIGHEST = 29_999
const TRIES = 4

export interface PeerOptions {
  /** Hosts by which the first of the scheduler's node list is reached, best first. */
  readonly hosts: readonly string[]
  /** Member id of who takes the members in. */
  readonly memberId: string
  /** The gang's keys: from them follow the ports. */
  readonly derive: (label: string) => Uint8Array
}

/**
 * The ports at which a peer may take its gang in: the same on every member of the attempt, others in the next one, so
 * that a retry does not meet what an earlier attempt may have left.
 */
export function peerPorts(derive: PeerOptions['derive']): readonly number[] {
  const drawn = Buffer.from(derive('rendezvous-port'))
  const ports = Array.from({ length: drawn.length / 2 }, (_, at) => {
    return LOWEST + (drawn.readUInt16BE(at * 2) % (HIGHEST - LOWEST + 1))
  })
  return [...new Set(ports)].slice(0, TRIES)
}

/**
 * A peer on the first host of the scheduler's list, at one of few ports that everybody can compute: members try them in
 * order, and the handshake tells whether it is the gang's. Nothing has to be written anywhere.
 */
export function peerRendezvous({ hosts, memberId, derive }: PeerOptions): Rendezvous {
  const candidates = peerPorts(derive).flatMap((port) => hosts.map((host) => ({ host, port })))
  const address = formatAddress({ memberId, candidates })
  return {
    kind: 'peer',
    host: async (own) => (listensAt(own, candidates) ? undefined : address),
    find: async ({ signal }) => {
      signal.throwIfAborted()
      return address
    },
  }
}

const listensAt = (own: string, candidates: readonly { host: string; port: number }[]): boolean =>
  candidates.some(({ host, port }) => own.includes(`${host.includes(':') ? `[${host}]` : host}:${port}`))
