import type { CompiledFlow } from '../../compile/contract.js'
import type { PackageProgress, PackageRef } from '../../compile/package/contract.js'
import { GangflowError, messageOf } from '../../errors/base.js'
import type { GangBackend } from '../contract.js'
import type { Delivered } from '../protocol.js'
import type { OwnedGang } from './gang.js'
import type { OwnedMember } from './members.js'

/** One package a run, whatever its gangs and attempts. */
const packages = new WeakMap<CompiledFlow, Promise<PackageRef>>()

/** Whether this backend's hosts are sent the code. */
export const isDelivered = (backend: Pick<GangBackend, 'code' | 'datastore'>): boolean =>
  (backend.code ?? (backend.datastore === 'relayed' ? 'delivered' : 'local')) === 'delivered'

/** Packs the flow where its hosts are sent it. False when that failed: then the gang knows why. */
export async function pack(gang: OwnedGang): Promise<boolean> {
  const { attempt } = gang
  if (!isDelivered(attempt.backend)) return true
  const { compiled, datastore } = attempt
  const { flow, run } = attempt.request.address
  let last: PackageProgress | undefined
  const progress = (facts: PackageProgress) => {
    last = facts
    gang.emit({ type: 'code', ...facts })
  }
  try {
    let packing = packages.get(compiled)
    if (packing === undefined) {
      const { packFlow } = await import('../../compile/package/pack-flow.js')
      packing =
        packages.get(compiled) ?? packFlow(compiled, datastore, { ...compiled.package, run: { flow, run }, progress })
      packages.set(compiled, packing)
    }
    // It is for the whole run: one attempt that is stopped does not stop it.
    const done = await Promise.race([packing, gang.ending])
    if (!done) return false
    gang.package = done
    if (last) gang.emit({ type: 'code', ...last, whole: true })
    return true
  } catch (error) {
    packages.delete(compiled)
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
    return false
  }
}

/** Waits until every member has the code. A member for which nothing moves during a start's time has failed. */
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
  let since = performance.now()
  while (!gang.closed && !gang.stop && gang.failures.length === 0) {
    try {
      const told = await member.call<Delivered>('delivered', null, gang.timeouts.lease * 2)
      if (told.whole || told.moved !== moved) {
        since = performance.now()
        moved = told.moved
        gang.emit({ type: 'code', phase: 'install', node, files, bytes, moved, ...(told.whole ? { whole: true } : {}) })
      }
      if (told.whole) return true
    } catch (error) {
      // The loss of a member is noticed by exit, silence or connection, with the reason.
      if (!GangflowError.is(error) || error.code !== 'E_GANG_MEMBER_LOST') throw error
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
