import type { Candidate, Target } from './contract.js'

/** `ssh://ID@HOST:PORT[,HOST:PORT…]`, IPv6 in brackets; a place that begins with a slash is a unix socket. */
export const formatAddress = ({ memberId, candidates }: Target): string =>
  `ssh://${encodeURIComponent(memberId)}@${candidates.map(placeOf).join(',')}`

/** One place as the address has it. */
export function placeOf(candidate: Candidate): string {
  if ('path' in candidate) return candidate.path
  return `${candidate.host.includes(':') ? `[${candidate.host}]` : candidate.host}:${candidate.port}`
}

/** The target of such an address, or undefined for what is none. */
export function parseAddress(address: string): Target | undefined {
  const [, id, places] = /^ssh:\/\/([^@]+)@(.+)$/.exec(address) ?? []
  if (id === undefined || places === undefined) return undefined
  const candidates: Candidate[] = []
  for (const place of places.split(',')) {
    if (place.startsWith('/')) {
      candidates.push({ path: place })
      continue
    }
    const [, v6, name, port] = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(place) ?? []
    const host = v6 ?? name
    if (host === undefined || Number(port) < 1 || Number(port) > 65_535) return undefined
    candidates.push({ host, port: Number(port) })
  }
  return { memberId: decodeURIComponent(id), candidates }
}
