import { networkInterfaces } from 'node:os'

/** An address of this machine that a peer may dial. */
export interface OwnAddress {
  readonly address: string
  /** Name of the network interface that has it. */
  readonly link: string
  readonly kind: 'network' | 'tunnel' | 'inside' | 'loopback'
}

/** Interfaces that lead to another place over a network that may be slower: VPNs. */
const tunnels = /^(?:tun|tap|wg|tailscale|zt|utun|ppp|ipsec|nebula)/
/** Bridges and pairs that lead to containers and virtual machines of this machine, often alike on every host. */
const insides =
  /^(?:docker|br-|virbr|veth|cni|cbr|flannel|cali|cilium|lxc|lxd|podman|weave|kube-|vmnet|vnet|nerdctl|azv)/

/**
 * What peers may dial, likeliest first: networks before VPNs, those before bridges to containers, IPv4 before IPv6;
 * loopback last, for members of one host. What is down the system does not list. A link-local IPv6 address means nothing
 * without the scope of whoever dials it, so it is left out.
 */
export function ownAddresses(found: ReturnType<typeof networkInterfaces> = networkInterfaces()): readonly OwnAddress[] {
  const all = Object.entries(found).flatMap(([link, addresses = []]) =>
    addresses
      .filter(({ scopeid, address }) => !scopeid && !/^fe[89ab]/i.test(address))
      .map((one) => ({ address: one.address, link, kind: kindOf(link, one), family: one.family })),
  )
  const rank = ({ kind, family }: (typeof all)[number]) =>
    ['network', 'tunnel', 'inside', 'loopback'].indexOf(kind) * 2 + (family === 'IPv4' ? 0 : 1)
  return all
    .map((one, index) => ({ one, index }))
    .sort((a, b) => rank(a.one) - rank(b.one) || a.index - b.index)
    .map(({ one: { address, link, kind } }) => ({ address, link, kind }))
}

function kindOf(link: string, { internal, address }: { internal: boolean; address: string }): OwnAddress['kind'] {
  if (internal) return 'loopback'
  if (insides.test(link) || address.startsWith('169.254.')) return 'inside'
  return tunnels.test(link) ? 'tunnel' : 'network'
}

/** This machine's own, for itself alone. */
export const isLoopback = (address: string): boolean =>
  address.startsWith('127.') || address === '::1' || address === 'localhost'
