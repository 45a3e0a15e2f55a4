import type { GangContext } from '@gangflow/core/plugin'
import { type FoundMpi, findMpi } from './find-mpi.js'
import type { MpiOptions } from './options.js'

/** What the calls of one attempt on one member share. */
export interface Session {
  readonly gang: GangContext
  readonly options: MpiOptions
  /** The installation, asked for once. Rejects with `E_MPI_MISSING`, `E_MPI_UNKNOWN`. */
  readonly mpi: () => Promise<FoundMpi>
  /** Calls so far. */
  calls: number
  /** Calls that have not settled. */
  open: number
}

export function openSession(gang: GangContext, options: MpiOptions): Session {
  let found: Promise<FoundMpi> | undefined
  const mpi = () => {
    found ??= findMpi(options.home, gang.flowDir, process.env)
    return found
  }
  // Asked while the other members come up; who needs the answer gets the error.
  if (gang.isControl) mpi().catch(() => {})
  return { gang, options, mpi, calls: 0, open: 0 }
}
