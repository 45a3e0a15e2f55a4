import { readdirSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Roster } from '../../current/roster.js'
import type { Datastore } from '../../datastore/contract.js'
import { type AttemptAddress, keys } from '../../datastore/records.js'
import type { Casualty, Verdict } from '../../errors/verdict.js'
import type { Json } from '../../flow/values.js'
import { openArbiter } from '../arbiter/arbiter.js'
import { datastoreSuccession } from '../arbiter/in-datastore.js'
import { composeVerdict } from '../verdict.js'
import type { AgentBootstrap, AgentPrelude } from './bootstrap.js'
import type { Place } from './failures.js'
import type { Loss } from './vigil.js'

/** Milliseconds that the next lower member has to write the account first, and members that are waited for so. */
const HEAD_START_MS = 200
const WAITED_FOR = 10

export interface Orphan {
  readonly address: AttemptAddress
  /** Node -1 before the epoch opened. */
  readonly place: Place
  readonly roster: Roster | undefined
  readonly loss: Loss
  readonly stopped: readonly Casualty[]
  readonly leaseMs: number
  /** The epoch that it was in; 0 before the first. */
  readonly epoch: number
  /** Others may go on without it. */
  readonly elastic: boolean
}

/** The account of a gang that lost its owner: by the lowest living member, as create-if-absent keeps the first (D4). */
export async function writeOrphanVerdict(datastore: Datastore, orphan: Orphan): Promise<void> {
  const { address, place, roster, loss, leaseMs, epoch, elastic } = orphan
  // Who is merely cut off cannot know that the others do not go on.
  if (loss.ownerLives || (elastic && loss.kind === 'cut-off')) return
  // Who is cut off knows least: whoever is not may say it better.
  const behind = loss.kind === 'cut-off' ? leaseMs : 0
  const turn = Math.min(Math.max(0, place.node), WAITED_FOR) * HEAD_START_MS
  await new Promise((resolve) => setTimeout(resolve, behind + turn))
  if ((await datastore.readRecord(keys.done(address)).catch(() => undefined)) !== undefined) return
  const record = { attempt: address.attempt, endedAt: Date.now(), verdict: verdictOf(orphan) }
  const failed = { key: keys.attemptFailed(address), value: record as unknown as Json }
  const arbiter = openArbiter({
    kind: 'owner',
    succession: datastoreSuccession(datastore, address),
    me: place.memberId,
    minNodes: 1,
    size: roster?.entries.length ?? 1,
  })
  // Whoever has ended the gang, or opened another epoch, was first.
  const head = await arbiter.head().catch(() => undefined)
  // The owner may have died before it told this member of the epoch that it is in.
  const mine = head?.kind === 'open' && head.members.includes(place.memberId) ? head.epoch : epoch
  const ended = await arbiter.end(mine, undefined).catch(() => undefined)
  if (ended) await datastore.createRecord(failed.key, failed.value).catch(() => false)
}

function verdictOf({ address, place, roster, loss, stopped }: Orphan): Verdict {
  const size = roster?.entries.length ?? 0
  const during = roster
    ? `while step '${address.step}' ran on ${size} members; they were stopped`
    : `before step '${address.step}' could begin`
  const me = place.node < 0 ? `member ${place.memberId}` : `node ${place.node}`
  if (loss.failure) {
    const first = { ...loss.failure, at: 0 }
    const author = place.node === 0 ? 'control' : 'member'
    return composeVerdict({ address, size, judgement: { first, echoes: [] }, stopped, author })
  }
  const common = { version: 1, cause: 'infrastructure', echoes: [], stopped } as const
  const author = place.node === 0 ? 'control' : 'member'
  if (loss.kind === 'owner') {
    return {
      ...common,
      code: 'E_GANG_LAUNCHER_LOST',
      summary: `${loss.why} ${during}`,
      fix: 'start again with `gangflow resume`: finished tasks are kept',
      first: { kind: 'launcher' },
      author,
    }
  }
  const entry = loss.node === undefined ? undefined : roster?.entries[loss.node]
  const cutOff = loss.kind === 'cut-off'
  return {
    ...common,
    code: cutOff ? 'E_GANG_CUT_OFF' : 'E_GANG_MEMBER_SILENT',
    summary: `${cutOff ? `${me} (${place.host}): ` : ''}${loss.why}, ${during}`,
    fix: 'see whether the hosts are up and reach each other, then start again with `gangflow resume`: finished tasks are kept',
    first: cutOff
      ? { kind: 'member', ...(place.node < 0 ? {} : { node: place.node }), host: place.host, memberId: place.memberId }
      : { kind: 'agent', node: loss.node!, ...(entry ? { host: entry.host, memberId: entry.memberId } : {}) },
    author,
  }
}

/** What the owner would have removed, once the last member has left it empty. */
export function removeEmptied(boot: AgentPrelude & Partial<Pick<AgentBootstrap, 'rendezvous'>>): void {
  const { member, transport } = boot
  const rendezvous = transport === 'unix' ? boot.rendezvous : undefined
  if (rendezvous !== undefined) rmSync(rendezvous, { force: true })
  const folders = [
    dirname(member.directory),
    dirname(member.temp),
    ...(rendezvous === undefined ? [] : [dirname(rendezvous)]),
  ]
  for (const folder of folders) {
    try {
      // Its maker's name may be left in it.
      if (readdirSync(folder).every((name) => name === 'owner')) rmSync(folder, { recursive: true })
    } catch {
      // Another member is still there, or has removed it.
    }
  }
}
