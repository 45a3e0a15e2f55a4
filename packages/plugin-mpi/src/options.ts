import type { Duration } from '@gangflow/core'

/** Options of `@mpi(…)`. */
export interface MpiOptions {
  /**
   * Where the step's code runs: on the control alone (default), or on all members; then each calls `current.mpi.run`,
   * the control performs it, and all get the result.
   */
  readonly body?: 'control' | 'all'
  /**
   * Folder of the MPI installation, at the same path on every member: `/opt/openmpi` for `/opt/openmpi/bin/mpirun`.
   * Default: `GANGFLOW_MPI_HOME`, the active virtual environment, the nearest `.venv`, then PATH.
   */
  readonly home?: string
  /** Allows more ranks than slots, in every call. Default false. */
  readonly oversubscribe?: boolean
  /** What `python` and `python3` at the head of a program mean. Default: see the README, Python. */
  readonly python?: string
}

/** Options of `current.mpi.run(…)` and `current.mpi.exec(…)`. */
export interface MpiRunOptions {
  /** Further options of mpirun itself, each a string of its own. `-n` and `-np` there are `np`. */
  readonly args?: readonly (string | number)[]
  /** What each rank runs: words as a shell would read them, or a list that is taken as it is. */
  readonly program: string | readonly string[]
  /** Appended to the program, as they are. */
  readonly programArgs?: readonly (string | number)[]
  /** Ranks; default: every slot of the gang. */
  readonly np?: number
  /** Added to the environment of every rank; any value. */
  readonly env?: Readonly<Record<string, string>>
  /** Working directory of the ranks; default, and base of a relative one: the flow file's folder. */
  readonly cwd?: string
  /** Limit on the whole call; default none. */
  readonly timeout?: Duration
  /** What rank 0 reads; default nothing. */
  readonly stdin?: string | Uint8Array
  /** Allows more ranks than slots. Default: the decorator's. */
  readonly oversubscribe?: boolean
  /** `ranks`: the result has the output of each rank apart, its last 1 MiB. Default: together, in `stdout` and `stderr`. */
  readonly output?: 'together' | 'ranks'
}

/** Options of `current.mpi.cc(…)`. */
export interface MpiCompileOptions {
  /** Path of the program; default: that of the source without its extension. Its folder is made. */
  readonly out?: string
  /** Default: what the source's extension says. */
  readonly language?: MpiLanguage
  /** Further flags; after the source, so that libraries (`-lm`) are found. Default: `-O2`. */
  readonly flags?: readonly string[]
  /** Limit on the compilation; default 10 min. */
  readonly timeout?: Duration
}

export type MpiLanguage = 'c' | 'c++' | 'fortran'

export interface MpiCompileResult {
  /** Absolute path of the program, for `broadcastFile` and `program`. Empty where `args` name none. */
  readonly out: string
  /** What was run. */
  readonly argv: readonly string[]
  /** What the compiler said: warnings. */
  readonly stderr: string
  readonly durationMs: number
}

/** Options of `current.mpi.broadcastFile(…)`. */
export interface MpiBroadcastOptions {
  /** Another path than the file's own, on all members, the control too; a relative one is below the flow file's folder. */
  readonly to?: string
  /** Limit on the whole copy; default: the gang's for collectives (10 min). */
  readonly timeout?: Duration
}

export interface MpiBroadcastResult {
  /** Where it is on every member: below the flow file's folder when relative. */
  readonly path: string
  readonly bytes: number
  /** Nodes that it was copied to. */
  readonly copied: readonly number[]
  /** Nodes that see the control's own file: they share its disk. */
  readonly shared: readonly number[]
  readonly durationMs: number
}

/** How one rank ended. */
export interface MpiRankResult {
  readonly rank: number
  readonly node: number
  readonly host: string
  readonly pid: number
  readonly exitCode: number | null
  readonly signal: NodeJS.Signals | null
  /** From its start to its end, as its member saw it. */
  readonly durationMs: number
  /** With `output: 'ranks'`. */
  readonly stdout?: string
  readonly stderr?: string
}

/** A call that succeeded: every rank ended with 0, and so did the launcher. */
export interface MpiResult {
  readonly exitCode: 0
  /** Such as `Open MPI 5.0.11`. */
  readonly implementation: string
  readonly np: number
  /** From the call to its end. */
  readonly durationMs: number
  /** From the call to the last rank's start. */
  readonly launchMs: number
  /** In rank order. */
  readonly ranks: readonly MpiRankResult[]
  /** The launcher's, complete up to 1 MiB, then its end; whole in the log. Empty with `output: 'ranks'`. */
  readonly stdout: string
  readonly stderr: string
}
