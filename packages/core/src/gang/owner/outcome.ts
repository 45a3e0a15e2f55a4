import type { ArtifactTable, DoneRecord, NodeRecord } from '../../datastore/records.js'
import { keys } from '../../datastore/records.js'
import { GangflowError, messageOf } from '../../errors/base.js'
import type { Json } from '../../flow/values.js'
import type { GangAttempt, GangOutcome } from '../contract.js'
import { commitVerdict, type Stopped, sendHome, settleMembers, stopGang } from './ending.js'
import type { OwnedGang } from './gang.js'
import { bringLastOutput } from './last-output.js'
import { fenced } from './open-epoch.js'

export interface Success {
  readonly outcome: GangOutcome
  /** Nothing of the step is left, and all is stored: only agents are still on their way home. */
  readonly leaving?: Promise<void>
}

/** Every body has done its part: the step's record is committed, by the control where it can, while the members settle. */
export async function succeed(gang: OwnedGang, startedAt: number): Promise<Success> {
  const done = await recordOf(gang, startedAt)
  const ended = await endUnder(gang)
  if (!ended) return { outcome: await fail(gang) }
  const [committed, { complaints, all }] = await Promise.all([commitDone(gang, done), settleMembers(gang)])
  const outcome: GangOutcome = { ok: true, done: committed }
  tell(gang, complaints)
  const leaving = sendHome(gang).then((more) => tell(gang, more))
  if (all) return { outcome, leaving }
  await leaving
  return { outcome }
}

async function commitDone(gang: OwnedGang, done: DoneRecord): Promise<DoneRecord> {
  const { datastore, assignment } = gang.attempt
  const control = gang.ordered[0]!
  const key = keys.done(assignment.address)
  const value = done as unknown as Json
  const byControl = control.connected
    ? await control.call<boolean>('commit', { epoch: gang.epoch, key, value }, 10_000).catch(() => undefined)
    : undefined
  if (byControl === undefined) await datastore.createRecord(key, value)
  return ((await datastore.readRecord(key)) as unknown as DoneRecord | undefined) ?? done
}

async function recordOf(gang: OwnedGang, startedAt: number): Promise<DoneRecord> {
  const given = await incoming(gang.attempt)
  const nodes: NodeRecord[] = gang.ordered.map((member) => ({
    node: member.node,
    host: member.host,
    memberId: member.memberId,
    control: member.node === 0,
    artifacts: member.done?.artifacts ?? given,
  }))
  const { transition, ambiguous } = gang.ordered[0]!.done!
  return {
    attempt: gang.attempt.request.address.attempt,
    epoch: gang.epoch,
    startedAt,
    endedAt: Date.now(),
    artifacts: nodes[0]!.artifacts,
    transition: transition!,
    ...(ambiguous ? { ambiguous } : {}),
    ...(gang.attempt.request.step.gang ? { nodes } : {}),
  }
}

/** What the step was given: also what a member without a body carries on. */
async function incoming(attempt: GangAttempt): Promise<ArtifactTable> {
  const [parent] = attempt.assignment.parents
  if (!parent) return {}
  const { flow, run } = attempt.assignment.address
  const record = (await attempt.datastore.readRecord(
    keys.done({ flow, run, step: parent.step, task: parent.task }),
  )) as unknown as DoneRecord | undefined
  return (parent.node === undefined ? record?.artifacts : record?.nodes?.[parent.node]?.artifacts) ?? {}
}

/** Ends the gang under its epoch; false when its members have done that while this process was away. */
async function endUnder(gang: OwnedGang): Promise<boolean> {
  try {
    await gang.arbiter.end(gang.epoch, undefined)
    return true
  } catch (error) {
    if (!GangflowError.is(error) || error.code !== 'E_GANG_FENCED') throw error
    fenced(gang, error)
    return false
  }
}

/** Something failed, or the runtime wants the end: all are stopped, and the verdict says why. */
export async function fail(gang: OwnedGang, stop?: Stopped): Promise<GangOutcome> {
  const { request } = gang.attempt
  const { judgement, stopped, endedAfterMs } = stop ?? (await stopGang(gang))
  await gang.arbiter.end(gang.epoch, undefined).catch((error: unknown) => {
    // Its members have ended it before: then the account is there, and is the one that counts. Where the datastore does
    // not answer nobody else is told anything by it either.
    if (!GangflowError.is(error) || !['E_GANG_FENCED', 'E_DATASTORE_TIMEOUT'].includes(error.code)) throw error
  })
  const missing = await bringLastOutput(gang)
  const verdict = await commitVerdict(gang, {
    address: request.address,
    size: request.size,
    judgement,
    stop: gang.stop,
    stopped,
    endedAfterMs,
    missing,
    losses: gang.losses,
    notAgain: gang.notAgain,
  })
  await takeLeave(gang)
  return { ok: false, verdict }
}

/** Lets the members go; what could not be stored or undone is told, as nothing else would. */
async function takeLeave(gang: OwnedGang): Promise<void> {
  tell(gang, (await settleMembers(gang)).complaints)
  tell(gang, await sendHome(gang))
}

function tell(gang: OwnedGang, complaints: readonly string[]): void {
  for (const text of complaints) gang.emit({ type: 'line', process: 'gangflow', stream: 'stderr', text })
}

/** A fault of this code or of the datastore, told as a verdict rather than thrown at the scheduler. */
export function fault(gang: OwnedGang, error: unknown): GangOutcome {
  const facts = GangflowError.is(error) ? error : undefined
  const message = messageOf(error)
  return {
    ok: false,
    verdict: {
      version: 1,
      cause: 'infrastructure',
      code: facts?.code ?? 'E_GANG_FAULT',
      summary: `step '${gang.attempt.request.step.name}' could not be run as a gang: ${facts?.what ?? message}`,
      ...(facts?.fix ? { fix: facts.fix } : {}),
      first: {
        kind: 'launcher',
        error: { message, ...(error instanceof Error && error.stack ? { stack: error.stack } : {}) },
      },
      echoes: [],
      stopped: [],
      author: 'launcher',
    },
  }
}
