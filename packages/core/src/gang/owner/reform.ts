import { GangflowError, messageOf } from '../../errors/base.js'
import { signalWithin } from '../../errors/signal-within.js'
import type { Casualty, EpochLosses } from '../../errors/verdict.js'
import type { Allocation } from '../contract.js'
import type { Elastic } from '../elastic.js'
import type { Placed } from '../judge.js'
import { describe } from '../verdict.js'
import { reap, recoverLogs, type Stopped } from './ending.js'
import type { OwnedGang } from './gang.js'
import { OwnedMember } from './members.js'
import { adopt } from './take-in.js'
import { within } from './within.js'

/**
 * After a stop: when the step would go on after such a loss, parts with the lost, readies the survivors for the next
 * epoch and starts others in the free places. False when the gang ends here; then it knows why.
 */
export async function reform(gang: OwnedGang, allocation: Allocation, { judgement }: Stopped): Promise<boolean> {
  const { elastic } = gang
  const first = judgement?.first
  if (!elastic || !first || gang.stop || !isLoss(first)) return false
  const restarts = gang.losses.length
  if (restarts >= elastic.maxRestarts) {
    const others = lossesOf(gang, first, gang.ordered.filter(isLost)).slice(1)
    return end(gang, others, `it had been formed again ${restarts} of ${elastic.maxRestarts} times`)
  }
  // It lives, and the others cannot be in one epoch with it.
  for (const { code, casualty } of gang.causes) {
    const member = code === 'E_GANG_APART' ? gang.members.get(casualty.memberId ?? '') : undefined
    if (member) member.unable = true
  }
  gang.forming = true
  const lost = gang.ordered.filter(isLost)
  const losses = { epoch: gang.epoch, lost: lossesOf(gang, first, lost) }
  gang.losses.push(losses)
  // From here on a failure is another one, of the epoch that is being formed.
  gang.forget()
  tell(gang, elastic, losses)
  const silent = (await Promise.all(gang.ordered.map((member) => (isLost(member) ? [] : renew(gang, member))))).flat()
  const free = [...lost, ...silent]
  await Promise.all(free.map((member) => part(gang, member)))
  if (!gang.stop) await Promise.all(free.map((member) => replace(gang, allocation, member)))
  if (gang.stop || gang.members.size >= elastic.minNodes) return !gang.stop
  gang.losses.pop()
  const why = `${gang.members.size} members were left, and the step needs ${elastic.minNodes}`
  return end(gang, losses.lost.slice(1), why)
}

/** It is not formed again: the verdict says why, and whom it lost besides the first. */
function end(gang: OwnedGang, others: EpochLosses['lost'], why: string): false {
  gang.notAgain = {
    why: [...others.map(({ summary }) => summary), why].join('; '),
    lost: others.map((one) => one.casualty),
  }
  return false
}

/** Whether the next epoch could be without it: the machine's doing, not the program's. */
function isLoss({ cause, code, casualty }: Placed): boolean {
  if (code === 'E_KEEPER_LOST' || code === 'E_GANG_FENCED' || casualty.kind === 'launcher') return false
  return cause === 'infrastructure' || code === 'E_GANG_START_TIMEOUT'
}

/** Nothing more can be had of it. */
function isLost(member: OwnedMember): boolean {
  return member.givenUp || member.unable || member.gone || member.released || !member.connected
}

/** Each loss as one sentence; where no member is lost, what ended in one of them. */
function lossesOf(gang: OwnedGang, first: Placed, lost: readonly OwnedMember[]): EpochLosses['lost'] {
  const { step, size } = gang.attempt.request
  const tellOf = (failure: Pick<Placed, 'casualty' | 'summary'>) => ({
    summary: describe(failure, step.name, size),
    casualty: failure.casualty,
  })
  const others = lost
    .filter(({ node }) => node !== first.node)
    .map((member) => {
      const known = gang.causes.find(({ node, weight }) => node === member.node && weight !== 'echo')
      const { node, host, memberId } = member
      const casualty: Casualty = { kind: 'member', node, host, memberId }
      const summary = `node ${node} (${host}) did not answer when it was stopped`
      return tellOf(known ?? { casualty, summary })
    })
  return [tellOf(first), ...others]
}

function tell(gang: OwnedGang, elastic: Elastic, { lost }: EpochLosses): void {
  gang.emit({
    type: 'epoch',
    epoch: gang.epoch + 1,
    members: gang.ordered.filter((member) => !isLost(member)).length,
    lost: lost.map(({ summary }) => summary),
    restartsLeft: elastic.maxRestarts - gang.losses.length,
  })
}

/** A survivor leaves its epoch behind; gives it back where it does not answer. */
async function renew(gang: OwnedGang, member: OwnedMember): Promise<OwnedMember[]> {
  try {
    const complaints = await member.call<string[]>(
      'renew',
      { epoch: gang.epoch, round: gang.losses.length },
      gang.timeouts.linger,
    )
    for (const complaint of complaints) say(gang, `node ${member.node}: ${complaint}`)
  } catch (error) {
    say(gang, `node ${member.node} (${member.host}) could not go on: ${messageOf(error)}`)
    return [member]
  }
  member.renew()
  return []
}

/** Ends whatever is left of a lost member, and keeps what it said last. */
async function part(gang: OwnedGang, member: OwnedMember): Promise<void> {
  const epoch = Math.max(1, gang.epoch)
  const reaping = reap(member)
  gang.parting.push(
    reaping
      .then(() => recoverLogs(gang, member, epoch))
      .then(
        () => {},
        (error: unknown) =>
          say(gang, `the last output of node ${member.node} (${member.host}) may be missing: ${messageOf(error)}`),
      ),
  )
  // Its host may be out of reach: the others wait no longer for it than for a sign of life.
  await within(reaping, gang.timeouts.lease)
  member.state = 'gone'
  gang.members.delete(member.memberId)
  gang.former.add(member.memberId)
  member.lease?.close()
  member.data?.close()
}

async function replace(gang: OwnedGang, allocation: Allocation, member: OwnedMember): Promise<void> {
  const { backend, signal } = gang.attempt
  if (!allocation.replace) return
  const limit = signalWithin(gang.timeouts.join, signal)
  try {
    const backed = await allocation.replace(member.backed, `${member.root}.${gang.losses.length}`, limit)
    if (backed) adopt(gang, new OwnedMember(backed, member.root), member.node)
  } catch (error) {
    if (gang.stop) return
    const why = GangflowError.is(error) ? error.what : messageOf(error)
    say(gang, `backend '${backend.name}' could not replace node ${member.node} (${member.host}): ${why}`)
  }
}

function say(gang: OwnedGang, text: string): void {
  gang.emit({ type: 'line', process: 'gangflow', stream: 'stderr', text })
}
