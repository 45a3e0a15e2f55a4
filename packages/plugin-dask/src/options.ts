import type { Duration } from '@gangflow/core'

/** Options of `@dask(…)`. */
export interface DaskOptions {
  /** Threads of each worker; default: the CPUs that the gang gave its member. */
  readonly threads?: number
  /** Of each worker, in Dask's words: `'2GB'`, `0.5` of the machine, `'auto'` (default). Above it data is spilled to disk. */
  readonly memoryLimit?: string | number
  /** Folder below which workers spill, on every member. Default `/tmp`. */
  readonly localDirectory?: string
  /** Serves the dashboard, on the control's loopback address alone; wants bokeh. Default false. */
  readonly dashboard?: boolean
  /** Limit on forming the cluster. Default 3 min. */
  readonly startTimeout?: Duration
  /**
   * A worker that does not answer for so long is lost. Default 30 s: a task that holds Python's lock holds its worker's
   * answers up.
   */
  readonly silence?: Duration
  /** Interpreter with Dask, on every member. Default: see the README, Python. */
  readonly python?: string | readonly string[]
}

/** Options of `current.dask.run(…)`. */
export interface DaskRunOptions {
  /** The client: a Python script, relative to `cwd`. `Client()` there finds the cluster. */
  readonly entrypoint: string
  readonly args?: readonly (string | number)[]
  /** Added to its environment. */
  readonly env?: Readonly<Record<string, string>>
  /** Default, and base of a relative one: the flow file's folder. */
  readonly cwd?: string
  /** Limit on it; default none. */
  readonly timeout?: Duration
  /** False: another exit code than 0 is in the result and no error. Default true. */
  readonly check?: boolean
}

/** How a client ended. */
export interface DaskResult {
  readonly exitCode: number | null
  readonly signal: NodeJS.Signals | null
  /** Complete up to 1 MiB, then its end; whole in the log. */
  readonly stdout: string
  readonly stderr: string
  readonly durationMs: number
}
