import pLimit from 'p-limit'
import { isLoopback } from '../../discovery/own-addresses.js'
import { GangflowError } from '../../errors/base.js'
import { encodeBootstrap } from '../../gang/agent/bootstrap.js'
import type { Allocation, BackendNotes, Bootstrap, GangBackend, MemberBootstrap } from '../../gang/contract.js'
import { fetchSpools } from './fetch-spools.js'
import { type OpenHost, openHost } from './host.js'
import type { HostSpec } from './hosts.js'
import { SshMember, undoOn } from './member.js'
import { planSsh, type SshHostPlan, type SshMemberPlan, type SshPlan } from './plan.js'
import type { SshWay } from './ssh-argv.js'

export interface SshBackendOptions {
  readonly hosts: readonly HostSpec[]
  readonly way: SshWay
  /** Hosts that are logged in to at once. Default 32. */
  readonly fanOut?: number
  /** Folder of the core whose agents are to run there. */
  readonly core: string
}

/** Members on hosts that the person's own SSH reaches: no daemon, no root, no shared disk there. */
export function sshBackend(options: SshBackendOptions): GangBackend<SshPlan> {
  return {
    name: 'ssh',
    transport: 'ssh',
    datastore: 'relayed',
    plan: (request) => planSsh(request, options.hosts, options.way),
    start: (plan, bootstrap, signal, note) => startOverSsh(plan, bootstrap, options, signal, note),
  }
}

async function startOverSsh(
  plan: SshPlan,
  bootstrap: Bootstrap,
  options: SshBackendOptions,
  signal: AbortSignal,
  note: BackendNotes,
): Promise<Allocation> {
  const { flow, run, step, task, attempt } = bootstrap.address
  const { stopGrace, launcher, linger } = bootstrap.timeouts
  const mark = [flow, run, step, task, attempt].join('/')
  const limit = pLimit(options.fanOut ?? 32)
  const hosts: OpenHost[] = []
  const opened = new Set<string>()
  const members: SshMember[] = []
  const release = async () => {
    await Promise.all(members.map((member) => member.reap()))
    await Promise.all(hosts.map((host) => host.close()))
  }
  // The first host that cannot be had ends the waiting for the others.
  const failed = new AbortController()
  const either = AbortSignal.any([signal, failed.signal])
  const openOne = async (hostPlan: SshHostPlan) => {
    either.throwIfAborted()
    const alone = plan.hosts.length === 1
    const host = await openHost(
      {
        plan: hostPlan,
        way: options.way,
        core: options.core,
        note: (text) => note(text, hostPlan.host),
        mark,
        rendezvous: bootstrap.rendezvous,
        leaseMs: launcher + linger,
        graceMs: stopGrace,
      },
      either,
    )
    hosts.push(host)
    opened.add(hostPlan.host)
    for (const member of hostPlan.members)
      members.push(await startMember(host, hostPlan, member, { bootstrap, way: options.way, alone }))
  }
  try {
    const tried = await Promise.allSettled(
      plan.hosts.map((hostPlan) =>
        limit(() => openOne(hostPlan)).catch((error: unknown) => {
          failed.abort(error)
          throw error
        }),
      ),
    )
    if (tried.some(({ status }) => status === 'rejected')) throw failed.signal.reason
    return { members, release }
  } catch (error) {
    await release()
    if (!signal.aborted || (signal.reason as Error | undefined)?.name !== 'TimeoutError') throw error
    const slow = plan.hosts.filter((one) => !opened.has(one.host)).map(({ host }) => host)
    throw new GangflowError(
      { code: 'E_GANG_PROVISION_TIMEOUT', what: `waited for: ${slow.join(', ') || 'its agents'}` },
      { cause: error },
    )
  }
}

async function startMember(
  host: OpenHost,
  plan: SshHostPlan,
  member: SshMemberPlan,
  { bootstrap, way, alone }: { bootstrap: Bootstrap; way: SshWay; alone: boolean },
): Promise<SshMember> {
  const { keeper, facts, programs } = host
  const told = memberBootstrap(host, plan, member, alone)
  const env = { ...facts.env, ...member.env, GANGFLOW_KEEPER: programs.keeper }
  const agent = await keeper.spawn({
    name: `agent-${member.memberId}`,
    argv: [programs.node, programs.agent, programs.compiled],
    env,
    cwd: '/',
    stdin: encodeBootstrap({ ...bootstrap, rendezvous: host.rendezvous }, told),
    spool: told.spool,
    onOwnerGone: { lingerMs: bootstrap.timeouts.linger },
    strays: 'end',
  })
  return new SshMember(member.memberId, plan.host, agent, {
    undo: () => undoOn(host, member.memberId, env),
    spools: () => fetchSpools(host, plan, way, told.spool),
  })
}

/** What the backend decides for a member; what nobody said is the host's, shared among its members. */
function memberBootstrap(
  { facts, places }: OpenHost,
  plan: SshHostPlan,
  member: SshMemberPlan,
  alone: boolean,
): MemberBootstrap {
  const { address } = facts
  // A host that this machine reaches by its loopback is this machine: other hosts do not reach it there.
  const known = address !== undefined && (alone || !isLoopback(address)) ? [address] : []
  const index = plan.members.indexOf(member)
  const before = plan.members.slice(0, index).reduce((sum, one) => sum + gpusOf(one), 0)
  return {
    memberId: member.memberId,
    host: plan.host,
    addresses: known,
    slots: member.slots ?? Math.max(1, Math.floor(facts.cpus / plan.members.length)),
    gpus: facts.gpus.slice(before, before + gpusOf(member)),
    directory: `${places.run}/${member.memberId}`,
    temp: `${places.temp}/${places.run.split('/').at(-1)}-${member.memberId}`,
    spool: `${places.spool}/${member.memberId}`,
    endsKeeper: true,
    cache: `${facts.work}/store`,
  }
  function gpusOf(one: SshMemberPlan): number {
    return one.gpus ?? Math.floor(facts.gpus.length / plan.members.length)
  }
}
