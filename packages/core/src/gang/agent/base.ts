import { mkdirSync, rmSync } from 'node:fs'
import type { BodyHost } from '../../body/contract.js'
import type { Datastore } from '../../datastore/contract.js'
import type { Keeper } from '../../process/contract.js'
import { RELAYED } from '../store.js'
import type { AgentPrelude } from './bootstrap.js'
import type { AgentTools } from './come-up.js'
import { memberEnvironment } from './environment.js'
import { removeEmptied } from './orphan.js'

/** What a member has before it has anywhere to join. */
export interface Base {
  readonly keeper: Promise<Keeper>
  /** With the host of its body, where the datastore is at hand: through the owner it is only once that is found. */
  readonly host: Promise<{ readonly datastore: Datastore; readonly host: BodyHost }> | undefined
  /** It was never needed: nothing of it stays. */
  end(): Promise<void>
}

/** Lays it: the keeper starts, and the body where it is known; both while the member joins, or long before. */
export function layBase(
  prelude: AgentPrelude,
  tools: Pick<AgentTools, 'startKeeper' | 'openDatastore' | 'openHost'>,
): Base {
  const { member, timeouts, body } = prelude
  mkdirSync(member.temp, { recursive: true, mode: 0o700 })
  const keeper = tools.startKeeper({
    mark: markOf(prelude),
    leaseMs: timeouts.lease,
    graceMs: timeouts.stopGrace,
    // A flood must not keep the agent from its lease: what is not shown live is in the spool.
    liveBytesPerSecond: 512 << 10,
  })
  const openHost = async () => {
    const { directory, spool } = member
    const [datastore, keeps] = await Promise.all([tools.openDatastore(prelude.datastore), keeper])
    const host = await tools.openHost({ keeper: keeps, directory, spool, datastore })
    if (body && body.needs.body !== 'control')
      host.prepare({ compiled: body.compiled, env: memberEnvironment(member, body) })
    return { datastore, host }
  }
  const host = prelude.datastore === RELAYED ? undefined : openHost()
  // Told to whoever comes up on it.
  for (const part of [keeper, host]) part?.catch(() => {})
  const end = async () => {
    await host?.then(({ host }) => host.close()).catch(() => {})
    await keeper.then((it) => it.close({ graceMs: 0 })).catch(() => {})
    await host?.then(({ datastore }) => datastore.close()).catch(() => {})
    for (const folder of [member.temp, member.directory, member.spool]) rmSync(folder, { recursive: true, force: true })
    removeEmptied(prelude)
  }
  return { keeper, host, end }
}

function markOf({ address, member }: AgentPrelude): string {
  const { flow, run, step, task, attempt } = address
  return [flow, run, step, task, attempt, member.memberId].join('/')
}
