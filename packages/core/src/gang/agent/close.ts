import { removeFolder } from '../../datastore/remove.js'
import { removeEmptied } from './orphan.js'
import type { OwnerLink } from './owner-link.js'
import type { MemberState } from './state.js'

/** Gives back what the member holds, however far it had come up. */
export async function closeMember(state: MemberState, owner: OwnerLink): Promise<void> {
  const { boot, parts, formed } = state
  state.closing = true
  owner.close()
  parts.data?.close()
  formed?.pulses.close()
  formed?.channels.close()
  await Promise.allSettled([
    formed?.peers.close(),
    parts.host?.close(),
    parts.listener?.close(),
    parts.raw?.close(),
    parts.shell?.close(),
  ])
  await parts.keeper?.close({ graceMs: 0 }).catch(() => {})
  await parts.datastore?.close().catch(() => {})
  for (const folder of [boot.member.temp, boot.member.directory]) removeFolder(folder)
  if (state.last) removeEmptied(boot)
}
