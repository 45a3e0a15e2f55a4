// What a set of test hosts is, as plain data and file contents; nothing here touches the machine.

export interface HostsOptions {
  /** How many hosts: 1 to 200. */
  readonly count: number
  /** Names; default `host1`, `host2`, … */
  readonly names?: readonly string[]
  /** Which addresses the hosts have; default both. */
  readonly network?: 'both' | 'ipv4' | 'ipv6'
  /** The unprivileged user that logs in; default `gf`. */
  readonly user?: string
  /** Paths of this machine that the hosts see read-only besides /usr, /etc and the running Node (a Python environment). */
  readonly show?: readonly string[]
  /** Paths that the hosts do not have although they lie below a shown one (`/usr/bin/node`). */
  readonly hide?: readonly string[]
  /** Size in MiB of each host's disk (its whole root: home, /tmp, /var), in memory as it fills; default 1024. */
  readonly disk?: number
  /** Size in MiB of /dev/shm; default 256. */
  readonly shm?: number
  /** sshd's MaxStartups; default OpenSSH's own 10:30:100. */
  readonly maxStartups?: string
  /** Whether OpenSSH's server runs there; default true. Without it, the set's `bin/ssh` stands for ssh. */
  readonly sshd?: boolean
}

export interface HostPlan {
  readonly name: string
  /** What the launcher's ssh_config says: IPv4 where there is one. */
  readonly address: string
  readonly ipv4?: string
  readonly ipv6?: string
  readonly mac: string
}

export interface SetPlan {
  readonly hosts: readonly HostPlan[]
  /** This machine on the bridge. */
  readonly machine: { readonly link: string; readonly mac: string; readonly ipv4?: string; readonly ipv6?: string }
  readonly user: string
  readonly uid: number
  /** MiB. */
  readonly disk: number
  readonly shm: number
  readonly sshd: boolean
}

const uid = 1000
/** How a set is told from others on one machine: its link's name and its subnets carry one number, 1 to 254. */
const prefix4 = process.env['GANGFLOW_HOSTS_NET'] ?? '10.231'
const prefix6 = 'fd67:6600:0'

export function planSet(options: HostsOptions, number: number): SetPlan {
  const { network = 'both', user = 'gf', disk = 1024, shm = 256, sshd = true } = options
  const at = (index: number) => ({
    ...(network === 'ipv6' ? {} : { ipv4: `${prefix4}.${number}.${index}` }),
    ...(network === 'ipv4' ? {} : { ipv6: `${prefix6}:${number}::${index.toString(16)}` }),
  })
  const hosts = namesOf(options).map((name, index): HostPlan => {
    const addresses = at(index + 11)
    return { name, address: (addresses.ipv4 ?? addresses.ipv6)!, ...addresses, mac: mac(number, index + 11) }
  })
  return { hosts, machine: { link: `gfh${number}`, mac: mac(number, 1), ...at(1) }, user, uid, disk, shm, sshd }
}

const hex = (value: number) => value.toString(16).padStart(2, '0')
const mac = (set: number, index: number) => `02:67:66:${hex(set)}:00:${hex(index)}`

function namesOf(options: HostsOptions): readonly string[] {
  const { count, names = Array.from({ length: count }, (_, index) => `host${index + 1}`) } = options
  if (!Number.isInteger(count) || count < 1 || count > 200)
    throw new Error(`${count} test hosts cannot be had\n  fix: ask for 1 to 200`)
  if (names.length !== count || new Set(names).size !== count)
    throw new Error(`${count} hosts need ${count} different names, not ${names.join(', ')}`)
  const bad = names.find((name) => !/^[a-z][a-z0-9-]{0,40}$/.test(name))
  if (bad !== undefined) throw new Error(`${bad} is no name for a test host\n  fix: small letters, digits and hyphens`)
  return names
}

/** `ip -batch` of the set's own network namespace: the bridge and every host's cable. */
export const setBatch = (plan: SetPlan): string =>
  [
    'link set lo up',
    'link add br0 type bridge mcast_snooping 0',
    'link set br0 up',
    ...plan.hosts.flatMap(({ name, mac }, index) => [
      `link add ${cable(index)} type veth peer name eth0 address ${mac} netns ${name}`,
      `link set ${cable(index)} master br0 up`,
    ]),
    '',
  ].join('\n')

/** The bridge's end of a host's cable. */
export const cable = (index: number) => `v${index + 1}`

/** `ip -batch` of one host's network namespace. */
export const hostBatch = (host: HostPlan): string =>
  ['link set lo up', ...addresses('eth0', host), 'link set eth0 up', ''].join('\n')

/** Arguments of `ip` that give a link its addresses, without the second of waiting for a duplicate. */
export const addresses = (link: string, at: { ipv4?: string; ipv6?: string }): string[] => [
  ...(at.ipv4 === undefined ? [] : [`addr add ${at.ipv4}/24 dev ${link}`]),
  ...(at.ipv6 === undefined ? [] : [`addr add ${at.ipv6}/64 dev ${link} nodad`]),
]

/** /etc/hosts of a host; `without` leaves names out, as a site without name service would. */
export function hostsFile(plan: SetPlan, without: readonly string[] = []): string {
  const known = [{ name: 'launcher', ...plan.machine }, ...plan.hosts].filter(({ name }) => !without.includes(name))
  return [
    '127.0.0.1 localhost',
    '::1 localhost ip6-localhost',
    ...known.flatMap(({ name, ipv4, ipv6 }) => [ipv4, ipv6].flatMap((ip) => (ip ? [`${ip} ${name}`] : []))),
    '',
  ].join('\n')
}

/** The small files of a host, by path on it. */
export function etcFiles(plan: SetPlan, host: HostPlan, options: HostsOptions): Record<string, string> {
  const { user } = plan
  return {
    'etc/hosts': hostsFile(plan),
    'etc/hostname': `${host.name}\n`,
    // No nameserver answers at once; an unreachable one would cost ten seconds at each reverse look-up.
    'etc/resolv.conf': '',
    'etc/nsswitch.conf': 'passwd: files\ngroup: files\nshadow: files\nhosts: files\n',
    'etc/passwd': [
      'root:x:0:0:root:/root:/bin/bash',
      `sshd:x:100:65534::/run/sshd:/usr/sbin/nologin`,
      `${user}:x:${uid}:${uid}::/home/${user}:/bin/bash`,
      'nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n',
    ].join('\n'),
    'etc/group': `root:x:0:\ntty:x:5:\n${user}:x:${uid}:\nnogroup:x:65534:\n`,
    // `*`: no password opens the account, and sshd does not take it for a locked one.
    'etc/shadow': `root:*:20000:0:99999:7:::\nsshd:*:20000:0:99999:7:::\n${user}:*:20000:0:99999:7:::\n`,
    'etc/ssh/sshd_config': [
      'Port 22',
      'HostKey /etc/ssh/ssh_host_ed25519_key',
      'PidFile none',
      'UsePAM no',
      'PasswordAuthentication no',
      'KbdInteractiveAuthentication no',
      'PermitRootLogin no',
      // The clock fault sets libfaketime's variables there.
      'PermitUserEnvironment yes',
      'UseDNS no',
      'PrintMotd no',
      'PrintLastLog no',
      'Subsystem sftp internal-sftp',
      ...(options.maxStartups === undefined ? [] : [`MaxStartups ${options.maxStartups}`]),
      '',
    ].join('\n'),
  }
}

/** ssh_config for a client that holds its key and known_hosts in `folder`. */
export const sshConfig = (plan: SetPlan, folder: string): string =>
  [
    ...plan.hosts.flatMap(({ name, address }) => [`Host ${name}`, `  HostName ${address}`, `  HostKeyAlias ${name}`]),
    `Host ${plan.hosts
      .flatMap(({ name, ipv4, ipv6 }) => [name, ipv4, ipv6])
      .filter(Boolean)
      .join(' ')}`,
    `  User ${plan.user}`,
    `  IdentityFile ${folder}/id_ed25519`,
    '  IdentitiesOnly yes',
    '  IdentityAgent none',
    `  UserKnownHostsFile ${folder}/known_hosts`,
    '  GlobalKnownHostsFile /dev/null',
    '  StrictHostKeyChecking yes',
    '  BatchMode yes',
    '  LogLevel ERROR',
    '',
  ].join('\n')

/**
 * A program that is called as ssh is and enters the namespaces of a host instead, as who would have logged in: for hosts
 * that have no sshd. It forwards nothing. `pids` are those of the hosts' first processes.
 */
export function enterScript(plan: SetPlan, pids: ReadonlyMap<string, number>): string {
  const client = plan.machine.ipv4 ?? plan.machine.ipv6
  return `#!/bin/sh
user=${plan.user}
while :; do
  case $1 in
    -l) user=$2; shift 2 ;;
    -[FioRp]) shift 2 ;;
    -*) shift ;;
    *) break ;;
  esac
done
case $1 in
${plan.hosts.map(({ name, address }) => `  ${name}) pid=${pids.get(name)} address=${address} ;;`).join('\n')}
  *) echo "there is no test host $1" >&2; exit 255 ;;
esac
shift
case $user in
  root) as= home=/root ;;
  *) as='setpriv --reuid=${plan.uid} --regid=${plan.uid} --clear-groups' home=/home/$user ;;
esac
exec nsenter -t "$pid" -m -n -p -u -i $as env -i --chdir="$home" HOME="$home" USER="$user" \\
  PATH=/usr/local/bin:/usr/bin:/bin SSH_CONNECTION="${client} 1 $address 22" sh -c "$*"
`
}

export const knownHosts = (plan: SetPlan, keys: ReadonlyMap<string, string>): string =>
  plan.hosts
    .map(({ name, ipv4, ipv6 }) => `${[name, ipv4, ipv6].filter(Boolean).join(',')} ${keys.get(name)}\n`)
    .join('')
