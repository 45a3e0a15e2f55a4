import type { Candidate } from './contract.js'

/** One member as OpenSSH's files have it. */
export interface KnownMember {
  readonly memberId: string
  /** All names by which it may be called; the first member with a name has it. */
  readonly names: readonly string[]
  readonly candidates: readonly Candidate[]
  /** `ssh-ed25519 AAAA…`. */
  readonly hostLine: string
}

export interface OpenSshPlaces {
  readonly knownHosts: string
  /** Socket of the agent that holds the gang's key. */
  readonly agent: string
  /** The public key that the agent is asked for. */
  readonly identity: string
  /** The name under which the asking member is known. */
  readonly user: string
}

/** `ssh_config` for these members and nobody else; no private key is in any file. */
export function opensshConfig(members: readonly KnownMember[], places: OpenSshPlaces): string {
  const taken = new Set<string>()
  const hosts = members.map(({ memberId, names, candidates }) => {
    const own = names.filter((name) => !taken.has(name) && /^[\w.:-]+$/.test(name))
    for (const name of own) taken.add(name)
    const place = candidates.find((candidate) => 'host' in candidate)
    if (!place || own.length === 0) return ''
    return `Host ${own.join(' ')}
  HostName ${place.host}
  Port ${place.port}
  HostKeyAlias ${memberId}
`
  })
  return `${hosts.join('')}Host *
  User ${places.user}
  IdentityFile "${places.identity}"
  IdentityAgent "${places.agent}"
  IdentitiesOnly yes
  UserKnownHostsFile "${places.knownHosts}"
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
  UpdateHostKeys no
  BatchMode yes
  PreferredAuthentications publickey
  KexAlgorithms curve25519-sha256
  HostKeyAlgorithms ssh-ed25519
  LogLevel ERROR
`
}

export const knownHosts = (members: readonly KnownMember[]): string =>
  members.map(({ memberId, hostLine }) => `${memberId} ${hostLine}\n`).join('')
