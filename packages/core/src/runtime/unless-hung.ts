import type { ErrorFacts } from '../errors/base.js'
import { within } from '../gang/owner/within.js'

/** Milliseconds for what is left to do once the datastore has let somebody wait in vain. */
const REST_MS = 3_000

/** Waits for the rest of a run; not for ever where the disk holds the threads by which all of it is done. */
export const unlessHung = async (
  end: { readonly status: string; readonly error?: ErrorFacts } | undefined,
  work: Promise<unknown>,
): Promise<void> => {
  if (end?.error?.code === 'E_DATASTORE_TIMEOUT') await within(work, REST_MS)
  else await work
}
