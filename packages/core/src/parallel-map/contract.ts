import type { Duration } from '../errors/duration.js'

/** What a function is given beside the item and its index: the worker that it runs in. */
export interface WorkerContext<S = unknown> {
  /** 0…workers-1; a worker that took a dead one's place has its number. */
  readonly worker: number
  /** What `init` gave in this worker; undefined without `init`. */
  readonly state: S
}

/** The function of a map. It runs in a worker, on a copy of the item, and may be async. */
export type MapFunction<T, R, S = unknown> = (item: T, index: number, context: WorkerContext<S>) => R | PromiseLike<R>

/** How far a map is. Counts are of items. */
export interface MapProgress {
  /** Numbers the maps of this thread, from 1. */
  readonly map: number
  readonly label: string | undefined
  readonly done: number
  /** How many of `done` failed; only `onError: 'collect'` goes on after the first. */
  readonly failed: number
  /** Undefined while an iterator may still give more. */
  readonly total: number | undefined
  /** Milliseconds since the map began. */
  readonly elapsed: number
  /** Items a second, over the last seconds. */
  readonly rate: number
  /** Milliseconds that are left at this rate; undefined where the total is unknown. */
  readonly eta: number | undefined
  readonly ended: boolean
}

/** What makes a worker. */
export interface PoolOptions<S = unknown> {
  /** How many work at once. Default: the CPUs of this process, by affinity and the cgroup's quota. */
  readonly workers?: number
  /**
   * `'thread'` (default): worker threads, which share memory with this process. `'process'`: a process each, for native
   * add-ons: a segmentation fault then fails an item and not the program. Processes share no memory.
   */
  readonly isolation?: 'thread' | 'process'
  /** Runs once in each worker, before its first item; what it gives is `context.state`. */
  readonly init?: (context: { readonly worker: number }) => S | PromiseLike<S>
  /**
   * Megabytes of JavaScript heap a worker may use; an item that needs more fails. On Node 24 V8 ends the whole program
   * instead when the worker is a thread: use processes there. Default: what Node gives a process.
   */
  readonly heap?: number
  /**
   * Megabytes of memory: of this whole process for threads (they share it), of each worker for processes. An item that
   * goes above it fails. Looked at every 20 ms, so what allocates faster gets further. Default: no ceiling.
   */
  readonly maxMemory?: number
}

/** What one map may be told. */
export interface MapOptions {
  /** Items that an async function may have in work at once in each worker. Default 1. */
  readonly concurrency?: number
  /** Items sent at once. Default: measured, so that a batch takes about 4 ms. */
  readonly batch?: number
  /** The longest that one item may take. The worker is replaced and the item fails. Default: no limit. */
  readonly timeout?: Duration
  /** Ends the map; it then rejects with the signal's reason. */
  readonly signal?: AbortSignal
  /**
   * `'stop'` (default): the first failure ends the map, which rejects with an `ItemError`. `'collect'`: every item gives
   * a `PromiseSettledResult` in its place, its reason an `ItemError`.
   */
  readonly onError?: 'stop' | 'collect'
  /**
   * `true`: a bar on standard error where that is a terminal, nothing elsewhere. A function is called about ten times a
   * second and once at the end; what it throws ends the map. Without it there is no bar, but in a flow's step the live view shows how far the map is;
   * `false` keeps it quiet there too.
   */
  readonly progress?: boolean | ((progress: MapProgress) => void)
  /** Names the map in its progress. */
  readonly label?: string
  /** Runs in this thread, one item after the other, with the same checks: for a debugger. Default false. */
  readonly serial?: boolean
  /** Inside a worker, start workers again. Default false: a map inside a map runs serially. */
  readonly nested?: boolean
  /** Results' buffers are moved to the caller and not copied; what the worker kept of them becomes empty. Default false. */
  readonly moveResults?: boolean
}

/** What a lazy map may be told. */
export interface IterOptions extends MapOptions {
  /**
   * How many items may be taken from the input before their results were taken. Default: what the workers need to stay
   * busy for about 50 ms, at least four a worker and at most 1024.
   */
  readonly ahead?: number
}

/** Options of a map that brings its own workers. */
export type ParallelMapOptions<S = unknown> = MapOptions & PoolOptions<S>
export type ParallelIterOptions<S = unknown> = IterOptions & PoolOptions<S>

/** Anything that can be mapped. */
export type Items<T> = Iterable<T> | AsyncIterable<T>
