import { GangflowError, messageOf } from '../../errors/base.js'
import type { Json } from '../../flow/values.js'
import { packFormation } from '../formation.js'
import type { Formation, FormOrder } from '../protocol.js'
import { parentOf, toldByOwner } from '../tree.js'
import { allDelivered } from './deliver.js'
import { findWays } from './find-ways.js'
import type { OwnedGang } from './gang.js'
import type { OwnedMember } from './members.js'
import { late, lengthOf } from './waited-for.js'

/** Waits for all to join, to reach each other and to have the code, then opens the next epoch: the lowest member id is its control. False when it came to an end before. */
export async function openEpoch(gang: OwnedGang): Promise<boolean> {
  if (!(await allJoined(gang))) return false
  const [delivered, reachable] = await Promise.all([allDelivered(gang), findWays(gang)])
  if (!delivered || !reachable) return false
  if (!(await decided(gang))) return false
  const formation = formationOf(gang)
  gang.formation = await packFormation(formation)
  const itself = toldByOwner(gang.members.size, formation.fanOut)
  await Promise.all(gang.ordered.map((member) => tell(gang, member, formation, itself(member.node))))
  return true
}

/** The epoch as the arbiter has it; false when the gang has been ended by its members meanwhile. */
async function decided(gang: OwnedGang): Promise<boolean> {
  const members = gang.ordered
  try {
    const { epoch, members: placed } = await gang.arbiter.open({
      after: gang.epoch,
      living: members.map(({ memberId }) => memberId),
      hosts: Object.fromEntries(members.map(({ memberId, host }) => [memberId, host])),
      lost: gang.losses.at(-1)?.lost ?? [],
    })
    for (const member of members) member.node = placed.indexOf(member.memberId)
    gang.epoch = epoch
    gang.forming = false
    return true
  } catch (error) {
    if (!GangflowError.is(error) || error.code !== 'E_GANG_FENCED') throw error
    fenced(gang, error)
    return false
  }
}

/** Its members have ended the gang while this process was away: their account counts. */
export function fenced(gang: OwnedGang, error: GangflowError): void {
  gang.fail(
    {
      casualty: { kind: 'launcher' },
      cause: 'infrastructure',
      weight: 'own',
      code: error.code,
      summary: error.what,
      ...(error.fix ? { fix: error.fix } : {}),
    },
    performance.now(),
  )
}

async function allJoined(gang: OwnedGang): Promise<boolean> {
  const deadline = setTimeout(() => tooLate(gang), gang.timeouts.join)
  try {
    return (await gang.until(() => gang.ordered.every((member) => member.joining))) === 'ready'
  } finally {
    clearTimeout(deadline)
  }
}

function tooLate(gang: OwnedGang): void {
  const missing = gang.ordered.filter((member) => !member.joining)
  const joined = gang.members.size - missing.length
  late(gang, missing, {
    code: 'E_GANG_START_TIMEOUT',
    what: `${joined} of ${gang.attempt.request.size} members joined within the timeout of ${lengthOf(gang.timeouts.join)}`,
    fix: "see what keeps them: a slow start of Node, a busy machine, or an agent that cannot reach the launcher; a longer wait is @parallel({ timeouts: { join: '5m' } })",
  })
}

function formationOf(gang: OwnedGang): Formation {
  const { epoch, ordered, attempt, fanOut } = gang
  const entries = ordered.map(({ node, memberId, joining, way }) => {
    const { host, slots, gpus } = joining!
    const { addresses, link } = way!
    return { node, memberId, host, addresses, ...(link === undefined ? {} : { interface: link }), slots, gpus }
  })
  return {
    epoch,
    ...(fanOut === undefined ? {} : { fanOut }),
    roster: { epoch, control: entries[0]!.memberId, entries },
    listens: Object.fromEntries(ordered.map((member) => [member.memberId, member.way!.listens])),
    ...(attempt.inspect === undefined ? {} : { inspect: attempt.inspect }),
  }
}

/** With the roster itself, or with the place of the one who hands it on. */
async function tell(gang: OwnedGang, member: OwnedMember, formation: Formation, itself: boolean): Promise<void> {
  const { epoch, roster, listens, fanOut } = formation
  const parent = itself ? undefined : roster.entries[parentOf(member.node, fanOut!)]!.memberId
  const order: FormOrder = { epoch, ...(parent === undefined ? {} : { parent: listens[parent]! }) }
  try {
    // Each waits for all above it, and may have to ask again: what is lost is noticed in other ways.
    const limitMs = Math.max(gang.timeouts.lease * 2, gang.timeouts.join)
    await member.call('form', order as unknown as Json, limitMs, itself ? gang.formation : undefined)
    member.formed = epoch
  } catch (error) {
    const facts = GangflowError.is(error) ? error : undefined
    // The loss of a member is noticed by exit, silence or connection, with the reason.
    if (facts?.code === 'E_GANG_MEMBER_LOST') return
    gang.lose(member, {
      at: performance.now(),
      code: facts?.code ?? 'E_GANG_AGENT_FAULT',
      summary: `node ${member.node} (${member.host}) could not take its part in the gang: ${messageOf(error)}`,
    })
  }
}
