import { GangflowError } from '../../errors/base.js'
import type { GangRequest } from '../../gang/contract.js'
import { elasticOf } from '../../gang/elastic.js'
import { type HostSpec, hostKeyOf } from './hosts.js'
import { type SshWay, sshArgv } from './ssh-argv.js'

/** One host as it is going to be reached, and its members. */
export interface SshHostPlan extends HostSpec {
  /** The command of the person's OpenSSH client; the start script goes to its stdin. */
  readonly argv: readonly string[]
  readonly members: readonly SshMemberPlan[]
}

export interface SshMemberPlan {
  readonly memberId: string
  /** What the person said or the step asked for; else what the host is found to have is shared. */
  readonly slots?: number
  readonly gpus?: number
  readonly env: Readonly<Record<string, string>>
}

export interface SshPlan {
  readonly backend: 'ssh'
  readonly hosts: readonly SshHostPlan[]
  /** Hosts for members that are lost, where the step goes on after a loss: those that were given beyond its size. */
  readonly spares?: readonly SshHostPlan[]
}

/** The request as it is performed and as `--dry-run` prints it. Pure: member i on the i-th host of the list. */
export function planSsh(request: GangRequest, hosts: readonly HostSpec[], way: SshWay): SshPlan {
  const { size, step, resources } = request
  if (hosts.length < size) {
    throw new GangflowError({
      code: 'E_SSH_TOO_FEW_HOSTS',
      what: `step '${step.name}' asks for ${size} members, and ${hosts.length} host${hosts.length === 1 ? ' is' : 's are'} given`,
      fix: 'give more hosts, or name a host once for each member that it shall take: --hosts a,a,b,b',
      step: step.name,
    })
  }
  const width = String(size - 1).length
  const groups = new Map<string, { spec: HostSpec; members: SshMemberPlan[] }>()
  for (const [index, spec] of hosts.slice(0, size).entries()) {
    const key = hostKeyOf(spec)
    const group = groups.get(key) ?? { spec, members: [] }
    groups.set(key, group)
    const slots = resources.cpu ?? spec.slots
    const gpus = resources.gpu ?? spec.gpus
    group.members.push({
      memberId: `m${String(index).padStart(width, '0')}`,
      ...(slots === undefined ? {} : { slots }),
      ...(gpus === undefined ? {} : { gpus }),
      env: spec.python === undefined ? {} : { GANGFLOW_PYTHON: spec.python },
    })
  }
  const planned = (spec: HostSpec, members: readonly SshMemberPlan[]) => ({
    ...spec,
    argv: sshArgv(spec, way),
    members,
  })
  const further = new Map(hosts.slice(size).map((spec) => [hostKeyOf(spec), spec]))
  const spares = [...further].flatMap(([key, spec]) => (groups.has(key) ? [] : [planned(spec, [])]))
  return {
    backend: 'ssh',
    hosts: [...groups.values()].map(({ spec, members }) => planned(spec, members)),
    ...(elasticOf(step, size) && spares.length > 0 ? { spares } : {}),
  }
}
