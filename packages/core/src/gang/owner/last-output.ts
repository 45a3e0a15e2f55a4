import { GangflowError, messageOf } from '../../errors/base.js'
import { recoverLogs } from './ending.js'
import type { OwnedGang } from './gang.js'
import { within } from './within.js'

/** Milliseconds that the verdict waits for what lost members had not stored. */
const BRING_MS = 10_000

/**
 * Stores what members that were lost had not stored, where their hosts do not have the datastore. Gives what may be
 * missing all the same, a clause for each: the verdict says it.
 */
export async function bringLastOutput(gang: OwnedGang): Promise<readonly string[]> {
  if (gang.attempt.backend.datastore !== 'relayed') return []
  const lost = gang.ordered.filter((member) => !member.connected && member.joining)
  const missing = await Promise.all(
    lost.map(async (member) => {
      let outcome: { readonly brought: boolean; readonly why?: string } = { brought: false }
      const bringing = recoverLogs(gang, member).then(
        (brought) => {
          outcome = { brought }
        },
        (error: unknown) => {
          const known = GangflowError.is(error) ? [error.what, error.fix] : [messageOf(error)]
          outcome = { brought: false, why: known.filter(Boolean).join('; ') }
        },
      )
      await within(bringing, BRING_MS)
      if (outcome.brought) return []
      const { node, host } = member
      return [`the last output of node ${node} (${host})${outcome.why ? `: ${outcome.why}` : ''}`]
    }),
  )
  return missing.flat()
}
