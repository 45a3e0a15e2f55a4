import type { RelayServer } from '../../datastore/relay/server.js'
import { byMemberId } from '../arbiter/order.js'
import type { Allocation, Listener } from '../contract.js'
import { deriveKey } from '../keys.js'
import { needsOf } from '../needs.js'
import type { Work } from '../protocol.js'
import type { OwnedGang } from './gang.js'
import { OwnedMember } from './members.js'
import { hostRendezvous } from './rendezvous.js'
import { vouch } from './vouch.js'
import { whileRunning } from './while-running.js'

/** Makes the backend's members the gang's, and opens the rendezvous for exactly these. */
export function takeIn(
  gang: OwnedGang,
  allocation: Allocation,
  listener: Listener,
  secret: Uint8Array,
  store: RelayServer | undefined,
): void {
  const ids = allocation.members.map((backed) => backed.memberId).sort(byMemberId)
  for (const backed of allocation.members) adopt(gang, new OwnedMember(backed), ids.indexOf(backed.memberId))
  hostRendezvous({
    listener,
    key: deriveKey(secret, gang.attempt.request.address, 'join'),
    members: gang.members,
    former: gang.former,
    work: workOf(gang),
    store,
    epoch: () => gang.epoch,
    formation: () => gang.formation,
    joined: (member) => {
      gang.state(member, 'joined')
      gang.progressed()
    },
    reported: (member, report) => gang.reported(member, report),
    dropped: (member) => awaitReturn(gang, member),
    vouched: (member, late) => vouch(gang, member, late),
    lines: (member, lines) => gang.lines(member, lines),
    progress: (member, data) => gang.progress(member, data),
    at: (member, at) => {
      member.at = at
      member.active = performance.now()
    },
    state: (member, state) => {
      member.phase = { name: state, since: performance.now() }
      member.active = performance.now()
      if (member.state !== 'done' && (state === 'setup' || state === 'running')) gang.state(member, state)
    },
  })
}

/** Makes a member that is being started the gang's, for the next epoch. */
export function adopt(gang: OwnedGang, member: OwnedMember, node: number): void {
  member.node = node
  member.since = gang.epoch
  gang.members.set(member.memberId, member)
  gang.emit({ type: 'member', node, host: member.host, state: 'starting', epoch: gang.epoch + 1 })
  watchAgent(gang, member)
}

function watchAgent(gang: OwnedGang, member: OwnedMember): void {
  void member.backed.agentExited.then(({ code, signal, at, keeperLost }) => {
    member.gone = true
    if (!keeperLost) gang.lose(member, { at, code: 'E_GANG_AGENT_LOST', exitCode: code, signal })
    else if (!member.backed.elsewhere) gang.loseKeeper(at)
    else {
      gang.lose(member, {
        at,
        code: 'E_GANG_MEMBER_LOST',
        summary: `node ${member.node} (${member.host}) was lost: the connection to its host ended, and with it all that ran there`,
        fix: 'see whether the host is up and reachable',
      })
    }
    gang.progressed()
  })
}

/** The lease connection broke: its agent's exit is heard of in a moment, or it dials again; else it counts as lost. */
function awaitReturn(gang: OwnedGang, member: OwnedMember): void {
  // It was told to leave.
  if (member.released) return
  const { settle, lease } = gang.timeouts
  // A new connection between hosts takes some round trips; the end of an agent there is heard of in another way.
  const patience = gang.attempt.backend.transport === 'ssh' ? Math.max(settle, lease / 2) : settle
  whileRunning(patience, () => {
    if (member.connected || member.gone) return
    gang.lose(member, {
      at: performance.now() - patience,
      code: 'E_GANG_MEMBER_LOST',
      summary: `the connection to node ${member.node} (${member.host}) broke and did not come back`,
      fix: 'see whether the host is reachable',
    })
  })
}

function workOf({ attempt, package: packed }: OwnedGang): Work {
  const { file, bundle, core } = attempt.compiled
  return {
    compiled: packed ?? { file, bundle, core },
    env: attempt.env,
    assignment: attempt.assignment,
    needs: needsOf(attempt.request.step),
  }
}
