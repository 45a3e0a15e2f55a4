import type { HostSpec } from '../ssh/hosts.js'
import { bytesText, type Finding } from './finding.js'
import type { MachineFacts, SpaceFacts } from './machine-facts.js'

type Own = Omit<Finding, 'host'>

/** Bytes below which a run is likely to fail, and below which it is worth saying. */
const SPACE = { fail: 200e6, warn: 2e9 }
/** PyTorch's data workers and MPI's ranks on one host pass their data through /dev/shm; containers give 64 MB. */
const SHM = 100e6
const FILES = { fail: 256, warn: 1024 }
const NETWORK_DISK = ['nfs', 'cifs', 'smb2', 'lustre', 'gpfs', 'ceph', 'fuse']

/** What a machine's facts mean, each by itself. Pure. */
export function judgeHost(facts: MachineFacts, spec: Partial<HostSpec> = {}): Own[] {
  return [
    { check: 'system', status: 'ok', found: [facts.platform, facts.arch, facts.libc].filter(Boolean).join(' ') },
    { check: 'kernel', status: 'ok', found: facts.kernel },
    { check: 'node', status: 'ok', found: facts.node },
    { check: 'cpus', status: 'info', found: `${facts.cpus} CPUs, ${bytesText(facts.memory.total)} of memory` },
    ...disks(facts),
    shm(facts.shm),
    ...limits(facts),
    ownName(facts),
    gpus(facts, spec.gpus),
  ]
}

function disks({ work, temp }: MachineFacts): Own[] {
  return [disk('disk', work), ...(temp?.path === work?.path ? [] : [disk('temp', temp)])]
}

function disk(check: string, space: SpaceFacts | undefined): Own {
  if (space === undefined)
    return { check, status: 'fail', found: 'its file system does not answer', fix: 'see `df`: a network disk may hang' }
  const found = `${bytesText(space.free)} free in ${space.path} (${space.type})`
  if (space.free >= SPACE.warn) return { check, status: 'ok', found }
  const fix =
    check === 'temp'
      ? 'make room there, or set TMPDIR'
      : 'make room there, or name another folder: workdir= in the hosts file'
  return { check, status: space.free < SPACE.fail ? 'fail' : 'warn', found, fix }
}

function shm(space: SpaceFacts | undefined): Own {
  const fix = 'mount -o remount,size=2g /dev/shm; in a container: --shm-size=2g'
  if (space === undefined) return { check: '/dev/shm', status: 'warn', found: 'there is none', fix }
  const found = `${bytesText(space.free)} free of ${bytesText(space.size)}`
  if (space.free < SHM) return { check: '/dev/shm', status: 'warn', found: `only ${found}`, fix }
  return { check: '/dev/shm', status: 'ok', found }
}

function limits({ limits: { files, processes } }: MachineFacts): Own[] {
  const found = `${files ?? 'unlimited'} open files, ${processes ?? 'unlimited'} processes`
  if ((files ?? FILES.warn) >= FILES.warn && (processes ?? 1024) >= 1024)
    return [{ check: 'limits', status: 'ok', found }]
  const fix = 'raise nofile and nproc in /etc/security/limits.conf and log in anew (`ulimit -n 65536` for one shell)'
  return [{ check: 'limits', status: (files ?? FILES.fail) < FILES.fail ? 'fail' : 'warn', found, fix }]
}

/** Frameworks ask for the address of their own host's name; a loopback address is what others cannot reach. */
function ownName({ hostname, resolves, addresses }: MachineFacts): Own {
  const check = 'own name'
  if (resolves.some((address) => addresses.some((own) => own.address === address)))
    return { check, status: 'ok', found: 'resolves to an address of its own' }
  const [own] = addresses
  const fix = `add to its /etc/hosts: ${own?.address ?? 'ADDRESS'} ${hostname}`
  if (resolves.length === 0)
    return { check, status: 'warn', found: `${hostname} resolves to nothing: some frameworks need it`, fix }
  return { check, status: 'info', found: `${hostname} is ${resolves.join(', ')}, which others do not reach` }
}

function gpus({ gpus }: MachineFacts, wanted: number | undefined): Own {
  const check = 'gpu'
  const count = gpus?.length ?? 0
  const found = count === 0 ? 'none' : `${count} x ${[...new Set(gpus)].join(' and ')}`
  if (wanted === undefined || wanted <= count) return { check, status: 'info', found }
  const fix = 'correct gpus= in the hosts file, or see what `nvidia-smi` says there'
  return { check, status: 'fail', found: `${found}, and the hosts file says gpus=${wanted}`, fix }
}

/** What hosts must have in common, and what is said where they differ. */
const alike: readonly { check: string; status: 'warn' | 'info'; fix: string }[] = [
  {
    check: 'system',
    status: 'warn',
    fix: "a step's programs must exist for each: choose hosts of one kind for one gang",
  },
  { check: 'kernel', status: 'info', fix: '' },
  { check: 'node', status: 'info', fix: '' },
]

interface Named {
  readonly name: string
  readonly facts: MachineFacts
}

/** What only the hosts together tell. Pure. */
export function judgeTogether(
  findings: readonly Finding[],
  hosts: readonly Named[],
  checks: readonly string[] = [],
): Finding[] {
  const same = [
    ...alike,
    ...checks.map((check) => ({ check, status: 'warn' as const, fix: 'install the same version on all hosts' })),
  ]
  return [
    ...same.flatMap(({ check, status, fix }): Finding[] => {
      const answers = findings.filter((each) => each.check === check && each.status === 'ok')
      const groups = group(answers, ({ found }) => found)
      if (groups.size < 2) return []
      const text = [...groups]
        .map(([found, each]) => `${found} (${each.map(({ host }) => host).join(', ')})`)
        .join('; ')
      return [{ check, status, found: `the hosts differ: ${text}`, ...(fix === '' ? {} : { fix }) }]
    }),
    ...[...group(hosts, ({ facts }) => facts.hostname)].flatMap(([name, each]): Finding[] =>
      each.length < 2
        ? []
        : [
            {
              check: 'own name',
              status: 'warn',
              found: `${each.map((host) => host.name).join(', ')} all call themselves ${name}: frameworks take them for one host`,
              fix: 'give each its own (hostnamectl set-hostname), if they are different machines',
            },
          ],
    ),
  ]
}

export function group<T>(all: readonly T[], key: (one: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>()
  for (const one of all) groups.set(key(one), [...(groups.get(key(one)) ?? []), one])
  return groups
}

/** Whether sockets and locks work poorly there. */
export const onNetworkDisk = (space: SpaceFacts | undefined): boolean =>
  space !== undefined && NETWORK_DISK.includes(space.type)
