import { networkInterfaces } from 'node:os'

/** This machine's addresses as others may know it, IPv4 first; its loopback where it has no other. */
export function ownAddresses(): readonly string[] {
  const all = Object.values(networkInterfaces()).flatMap((found) => found ?? [])
  const outside = all.filter(({ internal, scopeid }) => !internal && !scopeid)
  const known = [
    ...outside.filter(({ family }) => family === 'IPv4'),
    ...outside.filter(({ family }) => family === 'IPv6'),
  ]
  return known.length > 0 ? known.map(({ address }) => address) : ['127.0.0.1']
}
