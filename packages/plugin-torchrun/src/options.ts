import type { Duration } from '@gangflow/core'

/**
 * How a member's ranks are started.
 * - `direct` (default): each rank is `python script …`, with the environment that torchrun would have set.
 * - `torchrun`: torchrun itself on every member, for scripts that rely on its agent or its restarts.
 * - `prefork`: one Python per member imports torch while the gang forms, and forks the ranks. Fastest where a member
 *   has several ranks; for scripts that set nothing in the environment that torch reads when it is imported.
 */
export type Launcher = 'direct' | 'torchrun' | 'prefork'

/** Options of `@torchrun(…)`. */
export interface TorchrunOptions {
  /** Ranks on each member; `'auto'` (default): its assigned GPUs, else 1. */
  readonly nprocPerNode?: number | 'auto'
  /** Port of rank 0's store on the control; default: a free one, held for the gang. */
  readonly masterPort?: number
  /** Within which all members must have called `run`, and torchrun's agents have met. Default 10 minutes. */
  readonly startTimeout?: Duration
  /** Timeout of every process group that the script gives none. Default 30 minutes, for every backend. */
  readonly processGroupTimeout?: Duration
  readonly launcher?: Launcher
  /** Interpreter, with options if it needs some: `'python3.12'`, `['python', '-X', 'dev']`. Default: see the README, Python. */
  readonly python?: string | readonly string[]
  /** Artifact that receives each member's `GANGFLOW_OUTPUT_DIR`s. Default `torchOutput`. */
  readonly outputArtifact?: string
}

export type ArgumentValue = string | number | boolean | null | undefined | readonly (string | number)[] | object
/** A list is passed as it is; an object becomes flags (see the README). */
export type Arguments = readonly (string | number)[] | Readonly<Record<string, ArgumentValue>>

/** Options of `current.torch.run(…)`; every member calls it with the same entry point, launcher and ranks. */
export interface TorchRunOptions {
  /** The script, relative to `cwd`; with `module`, a module's name as for `python -m`. */
  readonly entrypoint: string
  readonly args?: Arguments
  readonly module?: boolean
  /** Further options of torchrun itself, for launcher `torchrun`. */
  readonly torchrunArgs?: Arguments
  readonly nprocPerNode?: number | 'auto'
  /** Added to the environment of every rank. */
  readonly env?: Readonly<Record<string, string>>
  /** Working directory of the ranks; default and base of a relative one: the flow file's folder. */
  readonly cwd?: string
  readonly python?: string | readonly string[]
  readonly launcher?: Launcher
  /** Limit on the ranks' run time; default none. */
  readonly timeout?: Duration
}

export interface TorchRankResult {
  readonly rank: number
  readonly localRank: number
  readonly node: number
  readonly host: string
  readonly exitCode: number | null
  readonly signal: NodeJS.Signals | null
  readonly durationMs: number
}

/** The same on every member. */
export interface TorchResult {
  readonly launcher: Launcher
  readonly worldSize: number
  readonly masterPort: number
  /** From the first rank's start to the last one's end, as the slowest member saw it. */
  readonly durationMs: number
  /** In rank order. */
  readonly ranks: readonly TorchRankResult[]
}
