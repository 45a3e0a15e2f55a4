import type { CompiledFlow } from '../../compile/contract.js'
import type { PackageProgress, PackageRef } from '../../compile/package/contract.js'
import { GangflowError, messageOf } from '../../errors/base.js'
import { isDelivered } from '../delivered.js'
import type { Delivered } from '../protocol.js'
import type { OwnedGang } from './gang.js'
import type { OwnedMember } from './members.js'

/** The packing of one run's flow: for all its gangs and attempts. */
interface Packing {
  readonly done: Promise<PackageRef>
  readonly stop: AbortController
  /** Attempts that wait for it. */
  waiting: number
}

const packings = new WeakMap<CompiledFlow, Packing>()

/** Milliseconds between two events of how far the packing is. */
const TELL_MS = 250

/** Packs the flow where its hosts are sent it. False when that failed: then the gang knows why. */
export async function pack(gang: OwnedGang): Promise<boolean> {
  const { compiled, backend } = gang.attempt
  if (!isDelivered(backend)) return true
  const packing = packings.get(compiled) ?? startPacking(gang)
  packings.set(compiled, packing)
  packing.waiting += 1
  try {
    gang.package = (await Promise.race([packing.done, gang.ending])) ?? undefined
    return gang.package !== undefined
  } catch (error) {
    packings.delete(compiled)
    notPacked(gang, error)
    return false
  } finally {
    packing.waiting -= 1
    // One attempt that is stopped does not stop it for others.
    if (packing.waiting === 0 && gang.package === undefined) {
      packings.delete(compiled)
      packing.stop.abort()
    }
  }
}

function startPacking(gang: OwnedGang): Packing {
  const { compiled, datastore, request } = gang.attempt
  const { flow, run } = request.address
  const stop = new AbortController()
  let last: PackageProgress | undefined
  let toldAt = 0
  const progress = (facts: PackageProgress) => {
    last = facts
    if (performance.now() - toldAt < TELL_MS) return
    toldAt = performance.now()
    gang.emit({ type: 'code', ...facts })
  }
  const work = async () => {
    const { packFlow } = await import('../../compile/package/pack-flow.js')
    const options = { ...compiled.package, run: { flow, run }, progress }
    const ref = await packFlow(compiled, datastore, options, stop.signal)
    if (last) gang.emit({ type: 'code', ...last, whole: true })
    return ref
  }
  const done = work()
  // Whoever waits is told; nobody may.
  done.catch(() => {})
  return { done, stop, waiting: 0 }
}

function notPacked(gang: OwnedGang, error: unknown): void {
  const facts = GangflowError.is(error) ? error : undefined
  gang.fail(
    {
      casualty: { kind: 'launcher', error: { message: messageOf(error), ...(facts ? { code: facts.code } : {}) } },
      cause: facts?.code.startsWith('E_CODE_') || facts?.code === 'E_OPTION' ? 'user' : 'infrastructure',
      weight: 'own',
      code: facts?.code ?? 'E_GANG_START',
      summary: `the code of the flow could not be packed for its hosts: ${facts?.what ?? messageOf(error)}`,
      ...(facts?.fix ? { fix: facts.fix } : {}),
    },
    performance.now(),
  )
}

/** Waits until every member has the code. A member for which nothing moves during the time of `join` has failed. */
export async function allDelivered(gang: OwnedGang): Promise<boolean> {
  if (gang.package === undefined) return true
  const left = new Set(gang.ordered)
  for (const member of gang.ordered) {
    void follow(gang, member).then((whole) => {
      if (whole) left.delete(member)
      gang.progressed()
    })
  }
  return (await gang.until(() => left.size === 0)) === 'ready'
}

async function follow(gang: OwnedGang, member: OwnedMember): Promise<boolean> {
  const { files, bytes } = gang.package!
  const { node } = member
  let moved = -1
  let signs = -1
  let since = performance.now()
  while (!gang.closed && !gang.stop && gang.failures.length === 0) {
    try {
      const told = await member.call<Delivered>('delivered', null, gang.timeouts.lease * 2)
      if (told.signs !== signs) since = performance.now()
      signs = told.signs
      if (told.whole || told.moved !== moved) {
        moved = told.moved
        gang.emit({ type: 'code', phase: 'install', node, files, bytes, moved, ...(told.whole ? { whole: true } : {}) })
      }
      if (told.whole) return true
    } catch (error) {
      const facts = GangflowError.is(error) ? error : undefined
      // The loss of a member is noticed by exit, silence or connection, with the reason.
      if (facts?.code !== 'E_GANG_MEMBER_LOST') {
        gang.lose(member, {
          at: performance.now(),
          code: facts?.code ?? 'E_GANG_AGENT_FAULT',
          summary: `node ${node} (${member.host}) did not say whether it has the flow's code: ${messageOf(error)}`,
        })
        return false
      }
    }
    if (performance.now() - since > gang.timeouts.join) stuck(gang, member, Math.max(0, moved))
  }
  return false
}

function stuck(gang: OwnedGang, member: OwnedMember, moved: number): void {
  gang.fail(
    {
      casualty: { kind: 'member', node: member.node, memberId: member.memberId, host: member.host },
      cause: 'timeout',
      weight: 'own',
      code: 'E_GANG_CODE_TIMEOUT',
      summary: `node ${member.node} (${member.host}) did not get the flow's code: nothing came for ${gang.timeouts.join / 1000} s, after ${moved} bytes`,
      fix: 'see whether the host is reachable, its disk works and its clock of processes is not stopped',
    },
    performance.now(),
    member.node,
  )
}
