/** How a keeper is started. */
export interface KeeperOptions {
  /**
   * The marker of everything below, such as `run/task/attempt/member`: GANGFLOW_MARK in every environment, for
   * `reap` from outside.
   */
  readonly mark: string
  /** The topmost of a run: ends whatever is re-parented to it and belongs to none of its living trees. */
  readonly root?: boolean
  /** Ends everything when this process has been silent (stopped) for so many milliseconds. Default: never. */
  readonly leaseMs?: number
  /** The helper runs on another machine: nothing about its processes can be seen or made from here. */
  readonly elsewhere?: boolean
  /** TERM to KILL when this process has ended, and for strays, in milliseconds. Default 500. */
  readonly graceMs?: number
  /** Of one process's output, bytes a second shown live; the spool is whole. Default 4 MiB, bursts of 4 MiB. */
  readonly liveBytesPerSecond?: number
  /** A process that nobody kept any more is being ended. */
  readonly onStray?: (stray: Stray) => void
  /** The disk did not take output; the process goes on, what is lost is counted. */
  readonly onSpoolFault?: (fault: SpoolFault) => void
  /** This process had been silent for the lease, and everything below was ended. */
  readonly onLapsed?: (silentMs: number) => void
}

export interface Stray {
  readonly pid: number
  readonly startTime: string
  /** Its name as the kernel has it. */
  readonly command: string
  /** The kept process from whose tree it came, where known. */
  readonly process?: string
}

export interface SpoolFault {
  readonly process: string
  readonly errno: string
  readonly lostBytes: number
}

/** A process that lives below a keeper. */
export interface Survivor {
  readonly pid: number
  readonly startTime: string
  readonly session: number
  /** The keeper's number for the tree that it is of. */
  readonly process: number
  readonly state: string
}
