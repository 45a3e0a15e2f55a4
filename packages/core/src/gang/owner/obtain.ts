import { GangflowError, messageOf } from '../../errors/base.js'
import { signalWithin } from '../../errors/signal-within.js'
import type { Cause } from '../../errors/verdict.js'
import type { Allocation } from '../contract.js'
import { preludeOf } from '../prelude.js'
import type { OwnedGang } from './gang.js'
import { lengthOf } from './waited-for.js'

/** Asks the backend for the members; a refusal is the attempt's failure. */
export async function obtain(gang: OwnedGang, secret: Uint8Array, rendezvous: string): Promise<Allocation | undefined> {
  const { backend, request, signal } = gang.attempt
  const { timeouts } = gang
  try {
    const start = backend.start(
      backend.plan(request),
      { ...preludeOf(gang.attempt), secret, rendezvous },
      backend.queues ? signal : signalWithin(timeouts.provision, signal),
      // It may have something to tell of the members' end, too.
      (text, host) => gang.attempt.emit({ type: 'note', text, ...(host === undefined ? {} : { host }) }),
    )
    return await start
  } catch (error) {
    if (!gang.stop) refused(gang, error)
    return undefined
  }
}

function refused(gang: OwnedGang, error: unknown): void {
  const { backend, request } = gang.attempt
  const facts = GangflowError.is(error) ? error : undefined
  const late = (error instanceof Error && error.name === 'TimeoutError') || facts?.code === 'E_GANG_PROVISION_TIMEOUT'
  const waited = facts ? `; ${facts.what}` : ''
  gang.fail(
    {
      casualty: { kind: 'member', error: { message: messageOf(error), ...(facts ? { code: facts.code } : {}) } },
      cause: late ? 'timeout' : causeOf(facts),
      weight: 'own',
      code: late ? 'E_GANG_PROVISION_TIMEOUT' : (facts?.code ?? 'E_GANG_START'),
      summary: late
        ? `backend '${backend.name}' did not start ${request.size} members within the timeout of ${lengthOf(gang.timeouts.provision)}${waited}`
        : `${request.step.gang ? `the ${request.size} members of ` : ''}step '${request.step.name}' could not be started: ${facts?.what ?? messageOf(error)}`,
      ...(late
        ? {
            fix: "see whether the hosts can be reached; a longer wait is @parallel({ timeouts: { provision: '30m' } })",
          }
        : facts?.fix
          ? { fix: facts.fix }
          : {}),
    },
    performance.now(),
  )
}

/** The engine may know who ended it; what the person asked for and cannot have is the person's to correct. */
const causeOf = (facts: GangflowError | undefined): Cause =>
  facts?.verdict?.cause ?? (/_(RESOURCES|REFUSED|OPTION)$/.test(facts?.code ?? '') ? 'user' : 'infrastructure')
