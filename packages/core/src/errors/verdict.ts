/** Why something ended, in the taxonomy that exit codes and retry policies follow. */
export type Cause = 'user' | 'infrastructure' | 'timeout' | 'preempted' | 'cancelled'

/** One process (or member) that ended, as the verdict tells it. */
export interface Casualty {
  /** What ended: a member of the gang, or one process on it. */
  readonly kind: 'member' | 'agent' | 'keeper' | 'body' | 'process' | 'launcher'
  readonly node?: number
  readonly memberId?: string
  readonly host?: string
  /** The framework's rank, where there is one. */
  readonly rank?: number
  /** The process's name within the task, as in its log: `body`, `rank3`, `torchrun`. */
  readonly process?: string
  readonly pid?: number
  readonly exitCode?: number
  /** Name of the signal that ended it, such as `SIGKILL`. */
  readonly signal?: string
  /** The kernel's out-of-memory killer is the likely sender of the signal. */
  readonly outOfMemory?: boolean
  /** The error as the framework or the runtime described it (first line is the message). */
  readonly error?: {
    readonly message: string
    readonly stack?: string
    readonly code?: string
    /** What the person can do about it, where the reporter knows. */
    readonly fix?: string
  }
  /** Last lines of its output, oldest first. */
  readonly lastLines?: readonly string[]
}

/** Those that an epoch of a gang lost, before it was formed again. */
export interface EpochLosses {
  /** 0: before the first was open. */
  readonly epoch: number
  readonly lost: readonly { readonly summary: string; readonly casualty: Casualty }[]
}

/** The one structured account of how a task's attempt ended when it did not succeed. */
export interface Verdict {
  readonly version: 1
  readonly cause: Cause
  /** One sentence: what happened, where. */
  readonly summary: string
  /** What the person can do about it. */
  readonly fix?: string
  /** The code of the GangflowError behind it, where there is one. */
  readonly code?: string
  /** The true first failure. */
  readonly first?: Casualty
  /** Those that failed by themselves within the uncertainty of the clock, or as an echo of the first. */
  readonly echoes: readonly Casualty[]
  /** Those that were merely stopped because of the first. */
  readonly stopped: readonly Casualty[]
  /** Milliseconds from the first failure to the last user process's end, on one monotonic clock; absent when unknown. */
  readonly endedAfterMs?: number
  /** What may be missing of what the task left, a clause each, such as a lost member's last output. */
  readonly missing?: readonly string[]
  /** What the gang had lost in earlier epochs, and had been formed again after. */
  readonly losses?: readonly EpochLosses[]
  /** Who wrote this account. */
  readonly author: 'control' | 'launcher' | 'member' | 'body'
}
