import { rmSync } from 'node:fs'
import { makeRunDirectory } from '../body/run-directory.js'
import type { ArtifactTable, DoneRecord, NodeRecord } from '../datastore/records.js'
import { keys } from '../datastore/records.js'
import { GangflowError, messageOf } from '../errors/base.js'
import type { Cause } from '../errors/verdict.js'
import type { Json } from '../flow/values.js'
import type { Allocation, GangAttempt, GangOutcome, RunGang } from './contract.js'
import { deriveKey, drawSecret } from './keys.js'
import { needsOf } from './needs.js'
import { commitVerdict, dismiss, stopGang } from './owner/ending.js'
import { OwnedGang } from './owner/gang.js'
import { watchLeases } from './owner/lease.js'
import { OwnedMember } from './owner/members.js'
import { hostRendezvous } from './owner/rendezvous.js'
import type { Formation, Work } from './protocol.js'
import { defaultTimeouts } from './timeouts.js'
import { unixTransport } from './transport/unix.js'

/**
 * One attempt of a gang step, owned by this process (launcher or script): forms the gang, watches over it, ends it.
 * Never rejects for what happens to the gang: that is the verdict.
 */
export const runGang: RunGang = async (attempt) => {
  const gang = new OwnedGang(attempt, { ...defaultTimeouts, ...attempt.timeouts })
  const directory = makeRunDirectory()
  const startedAt = Date.now()
  let allocation: Allocation | undefined
  let endWatch = () => {}
  try {
    const transport = unixTransport(directory)
    const listener = await transport.listen('rendezvous')
    const secret = drawSecret()
    try {
      allocation = await obtain(gang, secret, listener.address)
      if (allocation) {
        open(gang, allocation, listener, secret)
        endWatch = watchLeases({
          leaseMs: gang.timeouts.lease,
          members: () => gang.members.values(),
          patience: 3,
          lapsed: (member, since) => gang.lose(member, silence(member, since)),
        })
        if (await formed(gang)) await gang.until(() => bodies(gang).every((member) => member.done))
      }
      return gang.failures.length === 0 && !gang.stop && gang.epoch > 0
        ? await succeed(gang, startedAt)
        : await failed(gang)
    } finally {
      endWatch()
      gang.closed = true
      await listener.close()
      await allocation?.release()
    }
  } catch (error) {
    return faulted(gang, error)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** How a member is lost of which nothing is heard any more. */
function silence(member: OwnedMember, since: number): Parameters<OwnedGang['lose']>[1] {
  const seconds = Math.round((performance.now() - since) / 100) / 10
  const seen = member.backed.look?.().text ?? `its agent (pid ${member.joining?.pid}) hangs, or its host is gone`
  return {
    at: since,
    code: 'E_GANG_MEMBER_SILENT',
    summary: `node ${member.node} (${member.host}) has said nothing for ${seconds} s: ${seen}`,
    fix: 'see whether the host is up and not out of memory, and whether somebody stopped the process (SIGSTOP)',
  }
}

/** Asks the backend for the members; a refusal is the attempt's failure. */
async function obtain(gang: OwnedGang, secret: Uint8Array, rendezvous: string): Promise<Allocation | undefined> {
  const { backend, request, datastore } = gang.attempt
  const { timeouts } = gang
  try {
    const plan = backend.plan(request)
    const start = backend.start(
      plan,
      { secret, rendezvous, transport: 'unix', address: request.address, datastore: datastore.location, timeouts },
      AbortSignal.any([gang.attempt.signal, AbortSignal.timeout(timeouts.start)]),
    )
    return await start
  } catch (error) {
    if (!gang.stop) {
      const facts = GangflowError.is(error) ? error : undefined
      const late = error instanceof Error && error.name === 'TimeoutError'
      gang.fail(
        {
          casualty: { kind: 'member', error: { message: messageOf(error), ...(facts ? { code: facts.code } : {}) } },
          cause: late ? 'timeout' : facts?.code === 'E_GANG_RESOURCES' ? 'user' : 'infrastructure',
          weight: 'own',
          code: facts?.code ?? 'E_GANG_START',
          summary: late
            ? `backend '${backend.name}' did not start ${request.size} members within ${timeouts.start} ms`
            : `the ${request.size} members of step '${request.step.name}' could not be started: ${facts?.what ?? messageOf(error)}`,
          ...(facts?.fix ? { fix: facts.fix } : {}),
        },
        performance.now(),
      )
    }
    return undefined
  }
}

/** Opens the rendezvous for exactly these members. */
function open(
  gang: OwnedGang,
  allocation: Allocation,
  listener: Parameters<typeof hostRendezvous>[0]['listener'],
  secret: Uint8Array,
): void {
  const { request } = gang.attempt
  const ids = allocation.members.map((backed) => backed.memberId).sort(byNumberOrName)
  for (const backed of allocation.members) {
    const member = new OwnedMember(backed)
    member.node = ids.indexOf(backed.memberId)
    gang.members.set(backed.memberId, member)
    gang.emit({ type: 'member', node: member.node, host: member.host, state: 'starting', epoch: 1 })
    void backed.agentExited.then(({ code, signal, at, keeperLost }) => {
      member.gone = true
      if (keeperLost) gang.loseKeeper(at)
      else gang.lose(member, { at, code: 'E_GANG_AGENT_LOST', exitCode: code, signal })
      gang.progressed()
    })
  }
  hostRendezvous({
    listener,
    key: deriveKey(secret, request.address, 'join'),
    members: gang.members,
    work: workOf(gang.attempt),
    epoch: () => gang.epoch,
    joined: (member) => {
      gang.state(member, 'joined')
      gang.progressed()
    },
    reported: (member, report) => gang.reported(member, report),
    dropped: (member) => {
      // Its exit is heard of in a moment, or it dials again: else the connection alone is lost.
      setTimeout(() => {
        if (member.connected || member.gone) return
        gang.lose(member, {
          at: performance.now() - gang.timeouts.settle,
          code: 'E_GANG_MEMBER_LOST',
          summary: `the connection to node ${member.node} (${member.host}) broke and did not come back`,
          fix: 'see whether the host is reachable',
        })
      }, gang.timeouts.settle)
    },
    lines: (member, lines) => gang.lines(member, lines),
    progress: (member, data) => gang.progress(member, data),
    state: (member, state) => {
      if (member.state !== 'done' && (state === 'setup' || state === 'running')) gang.state(member, state)
    },
  })
}

/** Member ids by number where they end in one: `m10` after `m2`. */
function byNumberOrName(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true })
}

/** Waits for all to join, then opens epoch 1: the lowest member id is its control. False when it came to an end before. */
async function formed(gang: OwnedGang): Promise<boolean> {
  const { request } = gang.attempt
  const deadline = setTimeout(() => {
    const missing = gang.ordered.filter((member) => !member.joining)
    gang.fail(
      {
        casualty: {
          kind: 'member',
          ...(missing.length === 1 ? { node: missing[0]!.node, host: missing[0]!.host } : {}),
        },
        cause: 'timeout',
        weight: 'own',
        code: 'E_GANG_START_TIMEOUT',
        summary: `${gang.members.size - missing.length} of ${request.size} members joined within ${gang.timeouts.start / 1000} s; still waited for: ${missing.map((member) => `${member.memberId} (${member.host})`).join(', ')}`,
        fix: 'see what keeps them: a slow start of Node, a busy machine, or an agent that cannot reach the launcher',
      },
      performance.now(),
    )
  }, gang.timeouts.start)
  try {
    if ((await gang.until(() => gang.ordered.every((member) => member.joining))) === 'ending') return false
  } finally {
    clearTimeout(deadline)
  }
  const entries = gang.ordered.map(({ node, memberId, joining }) => ({
    node,
    memberId,
    host: joining!.host,
    addresses: joining!.addresses,
    slots: joining!.slots,
    gpus: joining!.gpus,
  }))
  gang.epoch = 1
  const formation: Formation = {
    epoch: 1,
    roster: { epoch: 1, control: entries[0]!.memberId, entries },
    listens: Object.fromEntries(gang.ordered.map((member) => [member.memberId, member.joining!.listens])),
    ...(gang.attempt.inspect === undefined ? {} : { inspect: gang.attempt.inspect }),
  }
  await Promise.all(
    gang.ordered.map((member) =>
      member.call('form', formation as unknown as Json, gang.timeouts.lease * 2).catch((error: unknown) => {
        // The loss of a member is noticed by exit, silence or connection, with the reason.
        if (GangflowError.is(error) && error.code === 'E_GANG_MEMBER_LOST') return
        gang.lose(member, {
          at: performance.now(),
          code: GangflowError.is(error) ? error.code : 'E_GANG_AGENT_FAULT',
          summary: `node ${member.node} (${member.host}) could not take its part in the gang: ${messageOf(error)}`,
        })
      }),
    ),
  )
  return true
}

/** The members whose body the end of the step waits for. */
function bodies(gang: OwnedGang): OwnedMember[] {
  return needsOf(gang.attempt.request.step).body === 'control' ? gang.ordered.slice(0, 1) : gang.ordered
}

function workOf(attempt: GangAttempt): Work {
  const { file, bundle, core } = attempt.compiled
  return {
    compiled: { file, bundle, core },
    env: attempt.env,
    assignment: attempt.assignment,
    needs: needsOf(attempt.request.step),
  }
}

async function succeed(gang: OwnedGang, startedAt: number): Promise<GangOutcome> {
  const { datastore, request, assignment } = gang.attempt
  const given = await incoming(gang.attempt)
  const nodes: NodeRecord[] = gang.ordered.map((member) => ({
    node: member.node,
    host: member.host,
    memberId: member.memberId,
    control: member.node === 0,
    artifacts: member.done?.artifacts ?? given,
  }))
  const control = gang.ordered[0]!
  const done: DoneRecord = {
    attempt: request.address.attempt,
    epoch: gang.epoch,
    startedAt,
    endedAt: Date.now(),
    artifacts: nodes[0]!.artifacts,
    transition: control.done!.transition!,
    ...(control.done!.ambiguous ? { ambiguous: control.done!.ambiguous } : {}),
    nodes,
  }
  const key = keys.done(assignment.address)
  const value = done as unknown as Json
  const byControl = control.connected
    ? await control.call<boolean>('commit', { key, value }, 10_000).catch(() => undefined)
    : undefined
  if (byControl === undefined) await datastore.createRecord(key, value)
  const committed = ((await datastore.readRecord(key)) as unknown as DoneRecord | undefined) ?? done
  await dismiss(gang)
  return { ok: true, done: committed }
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

async function failed(gang: OwnedGang): Promise<GangOutcome> {
  const { request } = gang.attempt
  const { judgement, stopped, endedAfterMs } = await stopGang(gang)
  const verdict = await commitVerdict(gang, {
    step: request.step.name,
    size: request.size,
    judgement,
    stop: gang.stop,
    stopped,
    endedAfterMs,
  })
  await dismiss(gang)
  return { ok: false, verdict }
}

/** A fault of this code or of the datastore, told as a verdict rather than thrown at the scheduler. */
function faulted(gang: OwnedGang, error: unknown): GangOutcome {
  const facts = GangflowError.is(error) ? error : undefined
  const cause: Cause = 'infrastructure'
  const message = messageOf(error)
  return {
    ok: false,
    verdict: {
      version: 1,
      cause,
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
