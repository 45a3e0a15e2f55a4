import type { Duration } from '@gangflow/core'

/** Options of `@ray(…)`. */
export interface RayOptions {
  /** Port of the GCS on the control. Default: one that the gang holds. */
  readonly port?: number
  /** Starts Ray's dashboard, which `current.ray.submit` and Ray Train want. Default false. */
  readonly dashboard?: boolean
  /** Custom resources of every node, besides its CPUs and GPUs. */
  readonly resources?: Readonly<Record<string, number>>
  /** CPUs of each node; default: those that the gang gave it. */
  readonly cpus?: number
  /** Limit on forming the cluster. Default 3 min. */
  readonly startTimeout?: Duration
  /** A node that does not answer for so long is lost. Default 6 s. */
  readonly silence?: Duration
  /** Whether what tasks and actors print reaches the driver. Default true. */
  readonly workerLogs?: boolean
  /** Bytes of each node's object store. Default: Ray's own, 30 % of the memory, shared by the members of a host. */
  readonly objectStoreMemory?: number
  /**
   * Where `current.ray.storagePath` is: a folder that all nodes share, or a URI such as `s3://bucket/runs`. Default: a
   * folder of the attempt in the run's datastore, where all members see its disk.
   */
  readonly storagePath?: string
  /** Interpreter with Ray, on every member. Default: see the README, Python. */
  readonly python?: string | readonly string[]
}

/** Options of `current.ray.run(…)`. */
export interface RayRunOptions extends RayExecOptions {
  /** The driver: a Python script, relative to `cwd`. */
  readonly entrypoint: string
  readonly args?: readonly (string | number)[]
  /** Ray's runtime environment of the driver's tasks: `{ pip: [...], env_vars: {...} }`. */
  readonly runtimeEnv?: Readonly<Record<string, unknown>>
}

/** Options of `current.ray.exec(…)`. */
export interface RayExecOptions {
  /** Added to the driver's environment. */
  readonly env?: Readonly<Record<string, string>>
  /** Default, and base of a relative one: the flow file's folder. */
  readonly cwd?: string
  /** Limit on it; default none. */
  readonly timeout?: Duration
  /** False: another exit code than 0 is in the result and no error. Default true. */
  readonly check?: boolean
}

/** How a driver ended. */
export interface RayResult {
  readonly exitCode: number | null
  readonly signal: NodeJS.Signals | null
  /** Complete up to 1 MiB, then its end; whole in the log. */
  readonly stdout: string
  readonly stderr: string
  readonly durationMs: number
}

/** Options of `current.ray.submit(…)`. */
export interface RaySubmitOptions {
  /** A shell command, run on the control in the flow file's folder. */
  readonly entrypoint: string
  readonly runtimeEnv?: Readonly<Record<string, unknown>>
  /** Default: drawn. */
  readonly submissionId?: string
  readonly metadata?: Readonly<Record<string, string>>
  /** Limit on it; then it is stopped. Default none. */
  readonly timeout?: Duration
  /** False: a job that failed is a result and no error. Default true. */
  readonly check?: boolean
}

export type RayJobStatus = 'PENDING' | 'RUNNING' | 'STOPPED' | 'SUCCEEDED' | 'FAILED'

/** How a job ended. */
export interface RayJobResult {
  readonly submissionId: string
  readonly status: RayJobStatus
  /** The driver's own; null where it ended by a signal, or never began. */
  readonly exitCode: number | null
  /** Ray's word on it. */
  readonly message: string
  /** What it wrote, its last 1 MiB. */
  readonly logs: string
  readonly durationMs: number
}

/** A node of the cluster, as its GCS has it. */
export interface RayNode {
  /** Of the gang. */
  readonly node: number
  readonly host: string
  /** Ray's own id, as in `ray.nodes()`. */
  readonly nodeId: string
  readonly address: string
  readonly alive: boolean
  readonly isHead: boolean
  readonly resources: Readonly<Record<string, number>>
}
