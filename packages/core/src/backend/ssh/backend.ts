import pLimit from 'p-limit'
import { GangflowError } from '../../errors/base.js'
import type { Allocation, BackendNotes, Bootstrap, GangBackend } from '../../gang/contract.js'
import { type OpenHost, openHost } from './host.js'
import type { HostSpec } from './hosts.js'
import type { SshMember, SshPlace } from './member.js'
import { planSsh, type SshHostPlan, type SshPlan } from './plan.js'
import { replaceOverSsh } from './replace.js'
import type { SshWay } from './ssh-argv.js'
import { startMember } from './start-member.js'

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
  const common = { bootstrap, way: options.way, alone: plan.hosts.length === 1 && plan.spares === undefined }
  const start = async (place: SshPlace) => {
    const member = await startMember(place, common)
    members.push(member)
    return member
  }
  const open = async (hostPlan: SshHostPlan, until: AbortSignal) => {
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
      until,
    )
    hosts.push(host)
    return host
  }
  const openOne = async (hostPlan: SshHostPlan) => {
    either.throwIfAborted()
    const host = await open(hostPlan, either)
    opened.add(hostPlan.host)
    for (const member of hostPlan.members) await start({ host, plan: hostPlan, member })
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
    const spares = [...(plan.spares ?? [])]
    const answerMs = bootstrap.timeouts.lease
    return {
      members: [...members],
      release,
      replace: (lost, as, until) => replaceOverSsh(lost as SshMember, as, { spares, answerMs, open, start }, until),
    }
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
