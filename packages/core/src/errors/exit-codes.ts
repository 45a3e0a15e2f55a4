import type { Cause } from './verdict.js'

/** Exit codes of the `gangflow` command. */
export const exitCodes = {
  ok: 0,
  /** A step failed by the person's own code. */
  user: 1,
  /** Bad input: unknown option, invalid flow, ill-typed parameter. Nothing was started. */
  usage: 2,
  /** A host, process or service that gangflow relies on failed. */
  infrastructure: 3,
  timeout: 4,
  preempted: 5,
  /** A person left the run to its jobs: it is not over. */
  detached: 6,
  /** Another launcher leads the run now. */
  takenOver: 7,
  /** Ctrl-C or a cancel: 128 + SIGINT. */
  cancelled: 130,
} as const satisfies Record<Cause | 'ok' | 'usage' | 'detached' | 'takenOver', number>
