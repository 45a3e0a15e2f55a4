import type { Duration } from '@gangflow/core'
import type { Arguments, TorchResult } from '@gangflow/plugin-torchrun/ranks'

/**
 * How a member's ranks are started.
 * - `direct` (default): each rank is `python script …`, with the environment that DeepSpeed's launcher would have set.
 * - `deepspeed`: DeepSpeed's own launcher of a node (`deepspeed.launcher.launch`, which its `deepspeed` command starts on
 *   each host) on every member, for those who want its options. No pdsh, and nothing is left when it is killed.
 */
export type DeepSpeedLauncher = 'direct' | 'deepspeed'

/** Options of `@deepspeed(…)`. */
export interface DeepSpeedOptions {
  /** Ranks on each member; `'auto'` (default): its assigned GPUs, else 1. */
  readonly nprocPerNode?: number | 'auto'
  /** Port of rank 0's store on the control; default: a free one, held for the gang. */
  readonly masterPort?: number
  /** Within which all members must have called `run`. Default 10 minutes. */
  readonly startTimeout?: Duration
  /** Timeout of every process group that the script gives none, DeepSpeed's own too. Default 30 minutes. */
  readonly processGroupTimeout?: Duration
  /**
   * Operations of DeepSpeed that each host compiles before its ranks start, once: `['fused_adam']`. Default, on members
   * without GPUs: `deepspeed_shm_comm`, which every rank there would compile for itself; it is left out where a host has
   * no compiler. `[]`: none, and that one switched off.
   */
  readonly ops?: readonly string[]
  /** Interpreter with DeepSpeed, on every member. Default: see the README, Python. */
  readonly python?: string | readonly string[]
  /** Artifact that receives each member's `GANGFLOW_OUTPUT_DIR`s. Default `deepspeedOutput`. */
  readonly outputArtifact?: string
}

/** Options of `current.deepspeed.run(…)`; every member calls it with the same entry point and ranks. */
export interface DeepSpeedRunOptions {
  /** The script, relative to `cwd`; with `module`, a module's name as for `python -m`. */
  readonly entrypoint: string
  readonly args?: Arguments
  readonly module?: boolean
  /** DeepSpeed's configuration: an object, kept as a file of the attempt, or the path of a file. The ranks have its path in GANGFLOW_DEEPSPEED_CONFIG. */
  readonly config?: string | Readonly<Record<string, unknown>>
  /** Under which the script is given the configuration. Default `--deepspeed_config`; false: not at all. */
  readonly configArgument?: string | false
  /** False: the script is given no `--local_rank=N`, as by DeepSpeed's `--no_local_rank`. Default true. */
  readonly localRank?: boolean
  readonly nprocPerNode?: number | 'auto'
  /** Default `direct`; `deepspeed` where `deepspeedArgs` has any. */
  readonly launcher?: DeepSpeedLauncher
  /** Further options of DeepSpeed's own launcher: `{ bind_cores_to_rank: true, bind_core_list: '0-15' }`. */
  readonly deepspeedArgs?: Arguments
  /** Added to the environment of every rank. */
  readonly env?: Readonly<Record<string, string>>
  /** Working directory of the ranks; default and base of a relative one: the flow file's folder. */
  readonly cwd?: string
  /** Limit on the ranks' run time; default none. */
  readonly timeout?: Duration
}

/** The same on every member. */
export type DeepSpeedResult = Omit<TorchResult, 'launcher'>
