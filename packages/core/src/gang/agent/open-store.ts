import { join } from 'node:path'
import type { Datastore } from '../../datastore/contract.js'
import { openHostStore } from '../../datastore/relay/host-store.js'
import { answer } from '../handshake.js'
import { hostSilence, RELAYED } from '../store.js'
import type { AgentTools } from './come-up.js'
import type { OwnerLink } from './owner-link.js'
import type { SideWay } from './side-way.js'
import type { MemberState } from './state.js'

/** The datastore as a member has it; `abandon` where it comes through the owner, once that is dead. */
export type MemberStore = Datastore & { abandon?(why: string): void }

/** Opens the run's datastore: by its location, or through the owner over connections of their own. */
export async function openStore(
  { boot, key }: MemberState,
  { openDatastore }: Pick<AgentTools, 'openDatastore'>,
  owner: OwnerLink,
  way: SideWay,
): Promise<MemberStore> {
  if (boot.datastore !== RELAYED) return openDatastore(boot.datastore)
  const { member, timeouts } = boot
  return openHostStore({
    dial: async (signal) => {
      const { stream } = await way.connect({ signal, own: true })
      await answer(stream, key, { member: member.memberId, purpose: 'store', epoch: owner.epoch }, signal)
      return stream
    },
    socket: join(member.directory, 'store.sock'),
    cache: member.cache,
    silenceMs: hostSilence(timeouts),
  })
}
