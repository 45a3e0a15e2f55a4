import { readdirSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Datastore } from '../../datastore/contract.js'
import { type AttemptAddress, keys } from '../../datastore/records.js'
import type { Casualty, Verdict } from '../../errors/verdict.js'
import type { Json } from '../../flow/values.js'
import type { AgentBootstrap } from './bootstrap.js'

/** Milliseconds that the next lower member has to write the account first. */
const HEAD_START_MS = 200

export interface Orphan {
  readonly address: AttemptAddress
  /** -1 before the epoch opened. */
  readonly node: number
  readonly size: number
  readonly why: string
  readonly stopped: readonly Casualty[]
}

/** The account of a gang that lost its owner: by the lowest living member, as create-if-absent keeps the first (D4). */
export async function writeOrphanVerdict(datastore: Datastore, orphan: Orphan): Promise<void> {
  const { address, node, size, why, stopped } = orphan
  await new Promise((resolve) => setTimeout(resolve, Math.max(0, node) * HEAD_START_MS))
  if ((await datastore.readRecord(keys.done(address)).catch(() => undefined)) !== undefined) return
  const verdict: Verdict = {
    version: 1,
    cause: 'infrastructure',
    code: 'E_GANG_LAUNCHER_LOST',
    summary: `${why} while step '${address.step}' ran${size > 0 ? ` on ${size} members` : ''}; they were stopped`,
    fix: 'start again with `gangflow resume`: finished tasks are kept',
    first: { kind: 'launcher' },
    echoes: [],
    stopped,
    author: node === 0 ? 'control' : 'member',
  }
  const record = { attempt: address.attempt, endedAt: Date.now(), verdict }
  await datastore.createRecord(keys.attemptFailed(address), record as unknown as Json).catch(() => false)
}

/** What the owner would have removed, once the last member has left it empty. */
export function removeEmptied({ member, rendezvous, transport }: AgentBootstrap): void {
  if (transport === 'unix') rmSync(rendezvous, { force: true })
  const folders = [
    dirname(member.directory),
    dirname(member.temp),
    ...(transport === 'unix' ? [dirname(rendezvous)] : []),
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
