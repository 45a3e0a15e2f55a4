import type { Duration } from '@gangflow/core'

/** What can be reduced. float16 and 64-bit integers are not: convert them. */
export type Numbers = Float32Array | Float64Array | Int32Array

/** What can be moved without arithmetic. */
export type Values = Numbers | Uint8Array

/**
 * How elements are joined. `mean` divides the sum by the number of ranks (int32: towards zero; its sum wraps). `max`
 * and `min` give NaN where any rank has NaN.
 */
export type Reduction = 'sum' | 'mean' | 'max' | 'min'

export type BufferKind = 'float32' | 'float64' | 'int32' | 'uint8'

/** The array of a kind of buffer. */
export type BufferOf<K extends BufferKind> = K extends 'float32'
  ? Float32Array
  : K extends 'float64'
    ? Float64Array
    : K extends 'int32'
      ? Int32Array
      : Uint8Array

export interface CallOptions {
  /** Default the one of `connect` (10 min). The error names the ranks that were waited for. */
  readonly timeout?: Duration
  /** Aborting breaks the collectives on every rank: the others are told which rank gave up. A blocking call sees it at its start only. */
  readonly signal?: AbortSignal
}

export interface ReduceOptions extends CallOptions {
  /** Default `sum`. */
  readonly reduction?: Reduction
}

/** Where the result goes; absent: a new array. A `buffer()` is written to without copying. */
export interface IntoOptions<T> {
  readonly into?: T
}

/**
 * Collectives over ranks 0…size-1. Every rank makes the same calls in the same order; the n-th call of one is matched
 * with the n-th of each other. The results are the same bits on every rank and in every repetition. Calls may be begun
 * before earlier ones have settled; they are performed one after the other, in order.
 *
 * The first failure is final: it ends all calls in work on every rank with one error, which later calls give again.
 * Errors: `E_TF_VALUES` (what was given; nothing was sent), `E_TF_CALL_MISMATCH` (ranks called differently),
 * `E_TF_RANK_LOST` (a rank died), `E_TF_RANK_LEFT` (a rank closed before this call), `E_TF_CALL_TIMEOUT`,
 * `E_TF_CALL_ABORTED`, `E_TF_CLOSED`.
 *
 * `…Sync` blocks the thread until the result is there, without running anything else on it; signals' handlers, timers
 * and output of other threads wait for so long.
 */
export interface Collectives {
  readonly rank: number
  readonly size: number
  readonly transport: 'sockets' | 'threads' | 'mpi'

  /** Joins the ranks' arrays (one length, one kind) element by element, in place; settles with the same array. */
  allReduce<T extends Numbers>(values: T, options?: ReduceOptions): Promise<T>
  allReduceSync<T extends Numbers>(values: T, options?: ReduceOptions): T

  /** Everyone's array (one length, one kind) one after the other in rank order. */
  allGather<T extends Values>(values: T, options?: CallOptions & IntoOptions<T>): Promise<T>
  allGatherSync<T extends Values>(values: T, options?: CallOptions & IntoOptions<T>): T

  /** Fills every rank's array (one length, one kind) with the one of rank `from` (default 0); settles with the same array. */
  broadcast<T extends Values>(values: T, options?: CallOptions & { readonly from?: number }): Promise<T>
  broadcastSync<T extends Values>(values: T, options?: CallOptions & { readonly from?: number }): T

  /**
   * As `allReduce`, but each rank gets its part alone: `partOf(length, size, rank)`. A `buffer()` given as `values` is
   * working space: what it holds afterwards is not defined.
   */
  reduceScatter<T extends Numbers>(values: T, options?: ReduceOptions & IntoOptions<T>): Promise<T>
  reduceScatterSync<T extends Numbers>(values: T, options?: ReduceOptions & IntoOptions<T>): T

  /** Settles when every rank has called it. */
  barrier(options?: CallOptions): Promise<void>
  barrierSync(options?: CallOptions): void

  /**
   * An array of zeros in the memory that the collectives work on: given to a call, it (or a part of it) is not copied.
   * For what is exchanged again and again, such as gradients. Not to be touched while a call is in work on it.
   */
  buffer<K extends BufferKind>(kind: K, length: number): BufferOf<K>
  /** Gives a `buffer()` back; it must not be used any more, nor any part of it. */
  release(buffer: Values): void

  /** Waits for the calls in work, then leaves. Others' later calls are `E_TF_RANK_LEFT`. Once is enough; again is no error. */
  close(): Promise<void>
}

/** The elements of `length` that belong to a rank: the first `length % size` ranks have one more. */
export interface Part {
  readonly begin: number
  readonly end: number
}

export interface ConnectOptions {
  readonly rank: number
  readonly size: number
  /** At least 16 bytes, the same on every rank. Never sent: it keys the mutual challenge of each connection. */
  readonly secret: Uint8Array
  /**
   * Where each rank listens, in rank order: `host:port`, `[v6]:port`, or a path beginning with `/` for a unix socket (at
   * most 107 bytes, in a directory that only you can enter). Or a function that tells the others this rank's place and
   * settles with everyone's; then each rank gives `listen`.
   */
  readonly addresses: readonly string[] | ((mine: Place) => Promise<readonly Place[]>)
  /** Only with a function as `addresses`: what to listen on. Default both, by kernel-chosen port on 127.0.0.1. */
  readonly listen?: Listen
  /** Differs between groups of one secret, so that none meets another's ranks. Default ''. */
  readonly name?: string
  /** Default 60 s: for all connections to stand. */
  readonly connectTimeout?: Duration
  /** Default of every call: 10 min. */
  readonly timeout?: Duration
  /** Default 30 s: a connected rank whose worker says nothing for so long (its host is gone or frozen) is lost. */
  readonly silence?: Duration
  /** Ends the connecting, and afterwards every call, as with a call's own signal. */
  readonly signal?: AbortSignal
}

export interface Listen {
  /** Directory for a unix socket, yours alone. */
  readonly directory?: string
  /** Address for a TCP socket, as peers reach it. */
  readonly host?: string
}

/** Where a rank can be reached. */
export interface Place {
  /** Ranks that have the same here can reach `path`. */
  readonly machine: string
  readonly path?: string
  /** Best first. */
  readonly tcp?: readonly string[]
}
