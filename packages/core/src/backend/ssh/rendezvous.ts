import { GangflowError } from '../../errors/base.js'
import { formatAddress, parseAddress } from '../../ssh/address.js'
import type { Candidate } from '../../ssh/contract.js'

/** The socket of this machine that leads to the launcher: what the SSH connection forwards. */
export function socketOf(rendezvous: string): string {
  const path = parseAddress(rendezvous)?.candidates.flatMap((one) => ('path' in one ? [one.path] : []))[0] ?? rendezvous
  if (path.startsWith('/')) return path
  throw new GangflowError({
    code: 'E_GANG_FAULT',
    what: `the rendezvous ${rendezvous} has no socket that could be forwarded`,
    fix: 'report it',
  })
}

/**
 * The launcher's address as a host has it: straight at the address from which the host was reached, or, where that
 * does not answer (NAT, a firewall), through the SSH connection itself.
 */
export function rendezvousOn(rendezvous: string, host: { readonly socket: string; readonly client?: string }): string {
  const target = parseAddress(rendezvous)
  if (!target) return host.socket
  const { client } = host
  const direct = target.candidates.flatMap((one): Candidate[] =>
    'port' in one && client !== undefined ? [{ host: client, port: one.port }] : [],
  )
  return formatAddress({ memberId: target.memberId, candidates: [...direct.slice(0, 1), { path: host.socket }] })
}
