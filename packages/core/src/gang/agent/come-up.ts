import { join } from 'node:path'
import type { BodyHost } from '../../body/contract.js'
import { Peer } from '../../body/peer.js'
import type { Datastore } from '../../datastore/contract.js'
import { ownAddresses } from '../../discovery/own-addresses.js'
import { coreVersion } from '../../errors/version.js'
import type { Json } from '../../flow/values.js'
import type { Keeper } from '../../process/contract.js'
import type { Mesh } from '../../ssh/contract.js'
import type { Transport } from '../contract.js'
import { answer } from '../handshake.js'
import type { Joining, Work } from '../protocol.js'
import type { Base } from './base.js'
import { DataLink } from './data-link.js'
import { failureOfKeeper } from './failures.js'
import { Live } from './live.js'
import { MemberShell } from './member-shell.js'
import { openStore } from './open-store.js'
import type { OwnerLink } from './owner-link.js'
import type { Reports } from './reports.js'
import { SideWay } from './side-way.js'
import type { MemberState, Parts } from './state.js'
import { openRawPort } from './tokens.js'

/** What the entry gives an agent to work with. */
export interface AgentTools {
  readonly transport: Transport
  startKeeper(options: { mark: string; leaseMs: number; graceMs: number; liveBytesPerSecond: number }): Promise<Keeper>
  openDatastore(location: string): Promise<Datastore>
  /** This member's part of the mesh; SSH is loaded at the first call. */
  mesh(): Mesh
  nativeHelper(): Promise<string | undefined>
  openHost(options: { keeper: Keeper; directory: string; spool: string; datastore: Datastore }): Promise<BodyHost>
}

/** From nothing to a member that has joined; each part is in `state.parts` as soon as it is there. */
export async function comeUp(
  state: MemberState,
  tools: AgentTools,
  base: Base,
  owner: OwnerLink,
  reports: Reports,
): Promise<Parts> {
  const { member, timeouts } = state.boot
  const way = new SideWay(state, owner, tools.transport)
  const [, data, listener, raw, datastore] = await Promise.all([
    owner.open().then(() => way.open()),
    openData(state, owner, way),
    tools.transport.listen(`agent-${member.memberId}`),
    openRawPort(join(member.directory, 'raw.sock')),
    base.host?.then((ready) => ready.datastore) ?? openStore(state, tools, owner, way),
  ])
  const live = new Live(data)
  state.parts = { data, live, listener, raw, datastore }
  const keeper = await base.keeper
  state.parts = { ...state.parts, keeper }
  watchKeeper(state, keeper, reports)
  const { directory, spool } = member
  const host = (await base.host)?.host ?? (await tools.openHost({ keeper, directory, spool, datastore }))
  const shell = new MemberShell({ state, mesh: tools.mesh, helper: tools.nativeHelper })
  state.parts = { ...state.parts, host, shell }
  // Before the first of the others can know of this one.
  if (state.boot.transport === 'ssh') await shell.serve()
  const self = joiningOf(state, listener.address) as unknown as Json
  const work = await owner.call<Work>('join', self, timeouts.join, 'the launcher to take this member in')
  const helper = tools.nativeHelper
  const parts: Parts = { keeper, datastore, host, work, listener, raw, data, live, shell, helper }
  state.parts = parts
  return parts
}

async function openData({ boot, key }: MemberState, owner: OwnerLink, way: SideWay): Promise<DataLink> {
  const { timeouts, member } = boot
  const dial = async (limitMs: number) => {
    const signal = AbortSignal.timeout(limitMs)
    const { stream } = await way.connect({ signal, own: true })
    await answer(stream, key, { member: member.memberId, purpose: 'data', epoch: owner.epoch }, signal)
    return new Peer(stream, { name: 'the launcher' })
  }
  const link = new DataLink({ dial, leaseMs: timeouts.lease })
  await link.open(timeouts.join)
  return link
}

function watchKeeper(state: MemberState, keeper: Keeper, reports: Reports): void {
  void keeper.closed.then((exit) => {
    state.keeperGone = true
    if (!state.closing) reports.fail(failureOfKeeper(exit, keeper.pid, state.place), performance.now() - exit.at)
  })
}

function joiningOf({ boot }: MemberState, listens: string): Joining {
  const { memberId, host, addresses, slots, gpus } = boot.member
  const links = Object.fromEntries(ownAddresses().map(({ address, link }) => [address, link]))
  return { memberId, pid: process.pid, host, addresses, links, slots, gpus, listens, version: coreVersion }
}
