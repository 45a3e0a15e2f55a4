import { rm } from 'node:fs/promises'
import { commitSpoolDirectory } from '../../datastore/logs/recover.js'
import { keys } from '../../datastore/records.js'
import { messageOf } from '../../errors/base.js'
import type { Casualty, Verdict } from '../../errors/verdict.js'
import type { Json } from '../../flow/values.js'
import { type Judgement, judge } from '../judge.js'
import type { Account, StopOrder } from '../protocol.js'
import { toldByOwner } from '../tree.js'
import { composeVerdict } from '../verdict.js'
import type { OwnedGang } from './gang.js'
import type { OwnedMember } from './members.js'
import { within } from './within.js'

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, Math.max(0, ms)))

/** How the first phase went. */
export interface Stopped {
  readonly judgement: Judgement | undefined
  readonly stopped: readonly Casualty[]
  /** Milliseconds since the first failure. */
  readonly endedAfterMs: number
}

/**
 * The first phase of an ending (D4): stop to all at once, then the accounts of all that still answer, then the
 * judgement. Members that do not answer are ended from outside.
 */
export async function stopGang(gang: OwnedGang): Promise<Stopped> {
  const began = performance.now()
  const { settle, lease, stopGrace } = gang.timeouts
  const order = orderFor(gang)
  const itself = told(gang)
  const accounts = Promise.all(gang.ordered.map((member) => stopMember(gang, member, order, itself(member.node))))
  await pause(settle)
  await accounts
  for (const member of gang.ordered) {
    for (const report of member.account?.killed ?? []) gang.reported(member, { ...report, ageMs: report.ageMs })
  }
  // Only echoes so far: the one who caused them may be silent, and known as lost at the end of its lease only.
  const silent = () => gang.ordered.some((member) => !member.gone && performance.now() - member.aliveAt > lease / 4)
  while (gang.failures.every(({ weight }) => weight === 'echo') && !gang.stop && silent()) {
    if (performance.now() - began > lease + stopGrace + settle) break
    await pause(50)
  }
  const judgement = judge(gang.causes)
  const endedAfterMs = performance.now() - (judgement?.first.at ?? began)
  return { judgement, stopped: gang.ordered.flatMap((member) => member.account?.stopped ?? []), endedAfterMs }
}

function orderFor(gang: OwnedGang): StopOrder {
  const { stop, causes, timeouts } = gang
  if (stop && causes.length === 0) return { why: stop.why, cause: stop.cause, graceMs: stop.graceMs }
  const first = causes[0]!
  const node = first.node === undefined ? 'a member' : `node ${first.node}`
  return { why: `${node} failed`, cause: 'infrastructure', graceMs: timeouts.stopGrace }
}

/** Whom the owner orders itself; the others have the order from their parents, where these are known to live. */
function told(gang: OwnedGang): (node: number) => boolean {
  if (gang.forming || gang.epoch === 0) return () => true
  const lost = gang.ordered.filter((member) => member.givenUp || member.unable || !member.connected)
  return toldByOwner(
    gang.members.size,
    gang.fanOut,
    lost.map(({ node }) => node),
  )
}

async function stopMember(gang: OwnedGang, member: OwnedMember, order: StopOrder, itself: boolean): Promise<void> {
  if (!member.gone) gang.state(member, 'stopping')
  // Nobody knows whether its parent lives: who has not stopped by then is told by the owner all the same.
  if (!itself) await within(accountOf(member), gang.timeouts.settle)
  if (member.account) return
  try {
    const silent = performance.now() - member.aliveAt > gang.timeouts.lease
    if (!member.connected || (silent && member.backed.look?.().state !== 'runs')) throw member.lost('stop')
    // What a member's processes may take, then as long again for a machine that is busy with ending them.
    member.account = await member.call<Account>(
      'stop',
      order as unknown as Json,
      order.graceMs * 2 + gang.timeouts.lease,
    )
  } catch {
    await reap(member)
  }
}

async function accountOf(member: OwnedMember): Promise<void> {
  member.account = await member.accounted.promise
}

/** Ends from outside whatever is left of a member; its agent's end is then no failure. */
export async function reap(member: OwnedMember): Promise<void> {
  member.released = true
  await member.backed.reap()
  // Whoever is behind a way that is cut has not closed it.
  member.lease?.close()
}

/** The one record of how it ended: created by the control, else by the owner; whichever was first counts. */
export async function commitVerdict(
  gang: OwnedGang,
  facts: Omit<Parameters<typeof composeVerdict>[0], 'author'>,
): Promise<Verdict> {
  const { datastore, request } = gang.attempt
  const key = keys.attemptFailed(request.address)
  const record = (verdict: Verdict) =>
    ({ attempt: request.address.attempt, endedAt: Date.now(), verdict }) as unknown as Json
  const byControl = composeVerdict({ ...facts, author: 'control' })
  const control = gang.ordered[0]
  if (control?.connected && gang.epoch > 0) {
    const created = await control
      .call<boolean>('commit', { epoch: gang.epoch, key, value: record(byControl) }, 2_000)
      .catch(() => undefined)
    if (created) return byControl
  }
  const byOwner = composeVerdict({ ...facts, author: 'launcher' })
  try {
    if (await datastore.createRecord(key, record(byOwner))) return byOwner
    const found = (await datastore.readRecord(key)) as unknown as { verdict: Verdict } | undefined
    return found?.verdict ?? byOwner
  } catch (error) {
    // Whoever waits for the account gets it, also where it cannot be kept.
    const lost = `this account in the datastore: ${messageOf(error).split('\n')[0]}`
    return { ...byOwner, missing: [...(byOwner.missing ?? []), lost] }
  }
}

/**
 * Stores what the member's processes said last, where it could not do that itself. False where the backend cannot see
 * that; true also when there was nothing.
 */
export async function recoverLogs(
  gang: OwnedGang,
  member: OwnedMember,
  epoch = Math.max(1, gang.epoch),
): Promise<boolean> {
  if (member.settled) return true
  if (!member.backed.spools) return false
  const spools = await member.backed.spools()
  if (spools === undefined) return true
  const { datastore, request } = gang.attempt
  const node = { address: request.address, epoch, node: member.node }
  await commitSpoolDirectory(datastore, node, spools)
  await rm(spools, { recursive: true, force: true })
  return true
}

/**
 * The second phase: agents stay until undos are performed and logs are stored, at most the linger. Gives what could not be
 * done, in words; `all`: every one of them has said so.
 */
export async function settleMembers(
  gang: OwnedGang,
): Promise<{ readonly complaints: string[]; readonly all: boolean }> {
  const { linger } = gang.timeouts
  const complaints: string[] = []
  await within(Promise.all(gang.parting), linger)
  const told = await Promise.all(
    gang.ordered.map(async (member) => {
      member.released = true
      try {
        if (!member.connected) throw member.lost('finish')
        const account = await member.call<Account>('finish', {}, linger)
        member.settled = account.complaints.length === 0
        for (const complaint of account.complaints) complaints.push(`node ${member.node}: ${complaint}`)
        await within(member.drained.promise, 1_000)
        gang.state(member, 'gone')
        return true
      } catch {
        // It could not end by itself: from outside, later.
        return false
      }
    }),
  )
  return { complaints, all: told.every(Boolean) && complaints.length === 0 }
}

/** Then they go, or are ended. */
export async function sendHome(gang: OwnedGang): Promise<string[]> {
  const { linger } = gang.timeouts
  const complaints: string[] = []
  await Promise.all(
    gang.ordered.map(async (member) => {
      try {
        if (!member.connected) throw member.lost('leave')
        await member.call('leave', {}, 2_000)
        await within(member.backed.agentExited, 3_000)
      } catch {
        // From outside, below.
      }
      await reap(member)
      const told = (why: string) => complaints.push(`the logs of node ${member.node}: ${why}`)
      let done = false
      const recovered = recoverLogs(gang, member).then(
        () => (done = true),
        (error: unknown) => {
          done = true
          told(messageOf(error))
        },
      )
      // A datastore that hangs holds whatever reads the spools too.
      await within(recovered, linger)
      if (!done) told(`they were not stored within ${linger / 1000} s`)
      gang.state(member, 'gone')
    }),
  )
  return complaints
}
