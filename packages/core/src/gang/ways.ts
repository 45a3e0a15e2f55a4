import type { ProbeAnswer, TriedAddress } from './protocol.js'

/** A member as its peers may reach it. */
export interface Reachable {
  readonly memberId: string
  readonly host: string
  /** As it told them itself, likeliest first. */
  readonly addresses: readonly string[]
  /** By address: the network interface that has it. */
  readonly links: Readonly<Record<string, string>>
}

/** A peer that cannot reach a member at any address. */
export interface Gap {
  readonly from: string
  readonly to: string
  readonly tried: readonly TriedAddress[]
}

/** What members found out about each other's addresses. Pure. */
export class Ways {
  /** By who was called, then by who called, then by address. */
  readonly #tries = new Map<string, Map<string, Map<string, TriedAddress>>>()

  add(from: string, answers: readonly ProbeAnswer[]): void {
    for (const { memberId, tried } of answers) {
      const callers = this.#tries.get(memberId) ?? new Map<string, Map<string, TriedAddress>>()
      this.#tries.set(memberId, callers)
      const known = callers.get(from) ?? new Map<string, TriedAddress>()
      callers.set(from, known)
      for (const one of tried) known.set(one.address, one)
    }
  }

  /** Who has no address that serves all who called it. */
  contested(): string[] {
    return [...this.#tries].filter(([to, callers]) => this.#best(to) < callers.size).map(([to]) => to)
  }

  callers(to: string): string[] {
    return [...(this.#tries.get(to)?.keys() ?? [])]
  }

  gaps(): Gap[] {
    return [...this.#tries].flatMap(([to, callers]) =>
      [...callers]
        .filter(([, tried]) => ![...tried.values()].some(serves))
        .map(([from, tried]) => ({ from, to, tried: [...tried.values()] })),
    )
  }

  /** A member's addresses, those first at which most peers reached it. */
  order({ memberId, addresses }: Reachable): readonly string[] {
    const votes = new Map(addresses.map((address) => [address, this.#votes(memberId, address)]))
    return [...addresses].sort((a, b) => votes.get(b)! - votes.get(a)!)
  }

  /** The interface of its first address; behind NAT, the one by which it went out to its peers. */
  link(member: Reachable): string | undefined {
    const [best] = this.order(member)
    if (best === undefined) return undefined
    if (member.links[best] !== undefined) return member.links[best]
    const used = [...this.#tries.values()].flatMap((callers) => [...(callers.get(member.memberId)?.values() ?? [])])
    return used.flatMap(({ local }) => member.links[local ?? ''] ?? [])[0]
  }

  #best(to: string): number {
    const addresses = new Set([...(this.#tries.get(to)?.values() ?? [])].flatMap((tried) => [...tried.keys()]))
    return Math.max(0, ...[...addresses].map((address) => this.#votes(to, address)))
  }

  #votes(to: string, address: string): number {
    return [...(this.#tries.get(to)?.values() ?? [])].filter((tried) => {
      const one = tried.get(address)
      return one !== undefined && serves(one)
    }).length
  }
}

const serves = ({ why }: TriedAddress): boolean => why === undefined

/** Addresses that members of different hosts have alike lead to none of them (docker's bridge): they come last. Pure. */
export function withoutCommon(members: readonly Reachable[]): Reachable[] {
  const hosts = new Map<string, Set<string>>()
  for (const { host, addresses } of members)
    for (const address of addresses) hosts.set(address, (hosts.get(address) ?? new Set()).add(host))
  const isCommon = (address: string) => hosts.get(address)!.size > 1
  return members.map((member) => ({
    ...member,
    addresses: [
      ...member.addresses.filter((address) => !isCommon(address)),
      ...member.addresses.filter((address) => isCommon(address)),
    ],
  }))
}
