import { isLoopback } from '../../discovery/own-addresses.js'
import { encodeBootstrap } from '../../gang/agent/bootstrap.js'
import type { Bootstrap, MemberBootstrap } from '../../gang/contract.js'
import { fetchSpools } from './fetch-spools.js'
import type { OpenHost } from './host.js'
import { SshMember, type SshPlace, tempOf, undoOn } from './member.js'
import type { SshHostPlan, SshMemberPlan } from './plan.js'
import type { SshWay } from './ssh-argv.js'

/** What is the same for all members. */
export interface Common {
  readonly bootstrap: Bootstrap
  readonly way: SshWay
  /** All members are on one host. */
  readonly alone: boolean
}

/** Starts a member's agent in its place. */
export async function startMember(place: SshPlace, { bootstrap, way, alone }: Common): Promise<SshMember> {
  const { host, plan, member } = place
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
  return new SshMember(place, agent, {
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
  // One that came in another's place has what that one had.
  const index = plan.members.findIndex(({ memberId }) => isInPlaceOf(member.memberId, memberId))
  const before = plan.members.slice(0, index).reduce((sum, one) => sum + gpusOf(one), 0)
  return {
    memberId: member.memberId,
    host: plan.host,
    addresses: known,
    slots: member.slots ?? Math.max(1, Math.floor(facts.cpus / plan.members.length)),
    gpus: facts.gpus.slice(before, before + gpusOf(member)),
    directory: `${places.run}/${member.memberId}`,
    temp: tempOf({ places }, member.memberId),
    spool: `${places.spool}/${member.memberId}`,
    endsKeeper: true,
    cache: `${facts.work}/store`,
  }
  function gpusOf(one: SshMemberPlan): number {
    return one.gpus ?? Math.floor(facts.gpus.length / plan.members.length)
  }
}

/** `m2`, and `m2.1` that came after it. */
const isInPlaceOf = (memberId: string, first: string): boolean => memberId === first || memberId.startsWith(`${first}.`)
