import { type ErrorFacts, GangflowError, messageOf } from '../../errors/base.js'
import type { Json } from '../../flow/values.js'

/** An error as it travels; what is no GangflowError keeps its message alone. */
export function errorToWire(error: unknown, doing: string): Json {
  const facts: ErrorFacts = GangflowError.is(error)
    ? GangflowError.prototype.toJSON.call(error)
    : {
        code: 'E_DATASTORE_IO',
        what: `${doing} in the datastore failed: ${messageOf(error)}`,
        fix: 'check the disk or the mount that the datastore lies on',
      }
  return facts as unknown as Json
}

export function errorFromWire(facts: Json): GangflowError {
  const told = facts as { code?: unknown; what?: unknown } | null
  if (typeof told?.code === 'string' && typeof told.what === 'string') return new GangflowError(facts as never)
  return strangeFrame('an answer with an error that has no code')
}

export function strangeFrame(what: string): GangflowError {
  return new GangflowError({
    code: 'E_DATASTORE_PROTOCOL',
    what: `malformed frame of the datastore's relay: ${what}`,
    fix: 'use the same version of @gangflow/core everywhere',
  })
}

export function otherProtocol(theirs: unknown, ours: number): GangflowError {
  return new GangflowError({
    code: 'E_DATASTORE_PROTOCOL',
    what: `the other side speaks protocol ${String(theirs)} of the datastore's relay, this one ${ours}`,
    fix: 'use the same version of @gangflow/core everywhere',
  })
}

/** `whom` said nothing about what was asked for too long. */
export function noAnswer(whom: string, doing: string, ms: number, cause?: unknown): GangflowError {
  const reason = cause === undefined ? '' : `; it could not be reached: ${messageOf(cause).split('\n')[0]}`
  return new GangflowError(
    {
      code: 'E_DATASTORE_TIMEOUT',
      what: `${whom} has not answered for ${ms / 1000} s: ${doing}${reason}`,
      fix: 'see whether that machine is up, its disk or mount answers, and the network between them carries data',
    },
    { cause },
  )
}

/** Nobody serves any more. */
export function relayLost(whom: string, doing: string, why: string, cause?: unknown): GangflowError {
  return new GangflowError(
    {
      code: 'E_DATASTORE_LOST',
      what: `${doing} failed: ${whom} ${why}`,
      fix: 'the verdict of the attempt says how it ended; what was acknowledged before is stored',
    },
    { cause },
  )
}

/** Something that this client may not do. */
export function outOfScope(doing: string, scope: string): GangflowError {
  return new GangflowError({
    code: 'E_DATASTORE_SCOPE',
    what: `${doing} is refused: ${scope}`,
    fix: 'read other runs, and delete, on the machine that has the datastore',
  })
}
