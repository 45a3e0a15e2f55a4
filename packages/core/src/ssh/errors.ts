import { GangflowError, messageOf } from '../errors/base.js'
import { placeOf } from './address.js'
import type { Candidate, Target } from './contract.js'
import { Unanswered } from './dial.js'

/** Why a member could not be reached, as a person reads it. `refused`: where it was last, nobody listens any more. */
export function unansweredError(target: Target, cause: unknown, last: Candidate | undefined): GangflowError {
  const tried = cause instanceof Unanswered ? cause.tried : []
  const where = last && tried.find(({ candidate }) => placeOf(candidate) === placeOf(last))
  const all = tried.length > 0 && tried.every(({ failure }) => failure === 'refused')
  if (all || where?.failure === 'refused') {
    return new GangflowError(
      {
        code: 'E_MESH_REFUSED',
        what: `nobody listens any more for '${target.memberId}' (${messageOf(cause)})`,
        fix: 'the process there has ended; its own account says why',
      },
      { cause },
    )
  }
  const wrong = tried.find(({ failure }) => failure === 'host-key' || failure === 'not-let-in')
  if (wrong) {
    return new GangflowError(
      {
        code: wrong.failure === 'host-key' ? 'E_MESH_HOST_KEY' : 'E_MESH_NOT_LET_IN',
        what: `who answers for '${target.memberId}' at ${placeOf(wrong.candidate)} is of no use: ${wrong.why}`,
        fix: 'another gang or another program has the address now: the member has ended, or lies behind another one',
      },
      { cause },
    )
  }
  return new GangflowError(
    {
      code: 'E_MESH_UNREACHABLE',
      what: `'${target.memberId}' cannot be reached (${messageOf(cause)})`,
      fix: 'see whether its host is up, and whether a firewall lies between',
    },
    { cause },
  )
}

/** It lives, and takes no channel of this kind (any more). */
export const channelRefused = (memberId: string, cause: unknown): GangflowError =>
  new GangflowError(
    {
      code: 'E_MESH_REFUSED',
      what: `'${memberId}' takes no such channel (any more): ${messageOf(cause)}`,
      fix: 'it is about to end, or serves nothing of the kind; its own account says why',
    },
    { cause },
  )

/** The connection to a member broke, or it refused a channel. */
export const channelError = (memberId: string, what: string, cause?: unknown): GangflowError =>
  new GangflowError(
    {
      code: 'E_MESH_CHANNEL_LOST',
      what: `${what} at '${memberId}'${cause === undefined ? '' : `: ${messageOf(cause)}`}`,
      fix: 'the verdict says how the member ended; if it lives, try again',
    },
    { cause },
  )
