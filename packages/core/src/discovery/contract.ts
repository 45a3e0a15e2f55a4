/** What has placed this process, as its environment tells. */
export type Engine =
  | 'slurm'
  | 'pbs'
  | 'lsf'
  | 'jobset'
  | 'indexed-job'
  | 'aws-batch'
  | 'sagemaker'
  | 'host-list'
  | 'local'

/** Of one job on one or more nodes: what its engine tells a process of it. */
export interface Discovered {
  readonly engine: Engine
  /** As the engine calls the job; the same on all nodes and over its restarts. `local` where there is none. */
  readonly job: string
  /**
   * Times that the engine has started the job again under this id: the first half of the epoch (D3). 0 also where it does
   * not tell (PBS, LSF, SageMaker, a plain Indexed Job).
   */
  readonly restarts: number
  /** Nodes. */
  readonly size: number
  /** 0…size-1. Absent: this process is on none of them, or it cannot be known, as in the shell of salloc on a login node. */
  readonly index?: number
  /** Its place among the processes that the engine has started on its node. */
  readonly task: number
  /** In the order of the indices; absent where the engine does not tell. */
  readonly hosts?: readonly DiscoveredHost[]
  /** The node that the engine takes for the first; its host where known (AWS Batch: on the others only, as an address). */
  readonly main: { readonly index: number; readonly host?: string }
  /** Processors and GPUs that this node's processes may use, where told. */
  readonly slots?: number
  readonly gpus?: number
  /** When the engine ends the job: milliseconds since 1970 by the engine's clock. */
  readonly deadline?: number
}

export interface DiscoveredHost {
  readonly host: string
  readonly slots?: number
  readonly gpus?: number
}

export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>
  /** The text of a file; throws when there is none. */
  readonly readFile: (path: string) => string
  /** Of this machine, as `uname -n` gives it. */
  readonly hostname: string
}
