/**
 * The keeper as the rest of core sees it (DESIGN D1): the parent of everything that a launcher or an agent
 * starts. `process/keeper.ts` speaks to the native helper; `process/groups.ts` is the form without it.
 */
export interface Keeper {
  readonly pid: number
  /** False where no native helper exists: groups, sessions and markers serve. */
  readonly native: boolean
  spawn(request: SpawnRequest): Promise<KeptProcess>
  /** Binds a TCP port without listening, so that nobody but who sets SO_REUSEADDR gets it (lab-gang, Ports). */
  hold(request: HoldRequest): Promise<HeldPort>
  /** TERM to everything below the keeper, KILL after the grace; settles when nothing is left. */
  stopAll(options: StopOptions): Promise<void>
  /** Settles when the keeper itself has ended: by `close`, or by somebody's kill. */
  readonly closed: Promise<ProcessExit>
  /** Ends everything below and the keeper. */
  close(options?: StopOptions): Promise<void>
}

export interface SpawnRequest {
  /** Name within its task, such as `body`, `rank0`: names the spool file and the log. */
  readonly name: string
  readonly argv: readonly string[]
  /** The whole environment of the process. The keeper adds its marker. */
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
  /** Directory in which the output is spooled (`spoolFile`); absent: both streams go to the keeper's own stderr. */
  readonly spool?: string
  /** Bytes for its stdin, then end of file; default: /dev/null. `pipe` leaves it open for `write`. */
  readonly stdin?: Uint8Array | 'pipe'
  /** What the keeper does with it at end of file from its owner. Default `kill`. */
  readonly onOwnerGone?: 'kill' | { readonly lingerMs: number }
  /**
   * What happens to a descendant that loses its parent and comes to the keeper while this process lives: `keep`
   * (default: a daemon may be wanted; it ends when the tree is stopped) or `end`, at once, as for an agent.
   */
  readonly strays?: 'keep' | 'end'
}

export interface KeptProcess {
  readonly name: string
  readonly pid: number
  /** Start time of the process as the kernel gives it (field 22 of /proc/PID/stat). */
  readonly startTime: string
  /** Settles after its last output has been spooled; a descendant that holds the pipe open does not delay it. */
  readonly exited: Promise<ProcessExit>
  /** Settles when no descendant can add to its output any more: the spool is final. `lostBytes`: the disk refused them. */
  readonly closed: Promise<{ readonly lostBytes: number }>
  /** Live output, in order; may skip what could not be forwarded in time (`skipped` bytes): the spool is whole. */
  onOutput(listener: (chunk: OutputChunk) => void): () => void
  /**
   * Bytes of the spool once all that the process has written by now is in it; what it wrote was shown before this
   * settles. For one process whose output is several logs, one after the other.
   */
  mark(): Promise<number>
  write(data: Uint8Array): Promise<void>
  endStdin(): void
  /** To the process alone, or to all of its descendants too. */
  signal(signal: NodeJS.Signals, scope?: 'process' | 'tree'): void
  /** TERM to the tree, KILL after the grace; settles when no descendant is left. */
  stop(options: StopOptions): Promise<ProcessExit>
}

export interface StopOptions {
  readonly graceMs: number
  readonly signal?: NodeJS.Signals
}

export interface OutputChunk {
  readonly stream: 'stdout' | 'stderr'
  readonly data: Uint8Array
  /** Nanoseconds of the keeper's monotonic clock. */
  readonly at: bigint
  readonly skipped?: number
}

export interface ProcessExit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  /** Milliseconds since it ended, on this machine's monotonic clock, when the promise settled. */
  readonly ageMs: number
  /** `performance.now()` of this process, when it ended. */
  readonly at: number
  /** True when the signal was sent by this keeper or its owner. */
  readonly solicited: boolean
  /** True when the keeper itself was killed, and the kernel killed this process with it: how it ended is not known. */
  readonly keeperLost?: boolean
  /** True when the kernel's out-of-memory killer is the likely sender. */
  readonly outOfMemory?: boolean
}

export interface HoldRequest {
  /** Address to bind; default all. */
  readonly host?: string
  /** Default: one outside the ephemeral range. */
  readonly port?: number
}

export interface HeldPort {
  readonly port: number
  release(): Promise<void>
}
