import { GangflowError } from '@gangflow/core'
import type { FailureFacts } from './worker/protocol.js'

/** The error of a failure; a new one for each call that meets it, so that its stack says where. */
export function errorOf({ code, what, fix, rank }: FailureFacts, cause?: unknown): GangflowError {
  return new GangflowError({ code, what, fix, rank }, cause === undefined ? {} : { cause })
}

export const CLOSED: FailureFacts = {
  code: 'E_TF_CLOSED',
  what: 'the collectives are closed',
  fix: 'call close() after the last call',
}
