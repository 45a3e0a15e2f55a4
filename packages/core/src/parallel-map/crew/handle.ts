import type { FromWorker, ToWorker } from '../protocol.js'

/** An item that a worker has in work: its batch and its position in it. */
export interface Held {
  readonly lane: number
  readonly batch: number
  readonly position: number
}

/** How a worker ended. */
export interface Gone {
  /** One sentence's end: `exited with code 3`, `was ended by SIGSEGV`. */
  readonly how: string
  readonly cause?: unknown
  /** What it held at that moment. */
  readonly held: readonly Held[]
}

/** A worker as the pool sees it, thread or process. */
export interface WorkerHandle {
  /** Whether buffers can be moved there; where not, they are copied. */
  readonly moves: boolean
  /** Throws where a value cannot be cloned. */
  post(message: ToWorker, moved: readonly ArrayBuffer[]): void
  /** True where a batch that was sent is the pool's again: the worker has not begun it and will not. */
  takeBack(batch: number): boolean
  /** Asks for the end of a batch's items that were not begun. */
  askBack(batch: number): void
  held(): readonly Held[]
  /** The end of the range of a segment that it claimed last. */
  claimedTo(): number
  /** Bytes that it uses by itself; undefined for a thread, which shares this process's. */
  memory(): number | undefined
  /** Ends it at once, whatever it does; resolves when it is gone. */
  kill(): Promise<void>
  /** Whether it keeps this process alive. */
  keepAlive(yes: boolean): void
}

export interface WorkerEvents {
  message(message: FromWorker): void
  /** Once. */
  gone(gone: Gone): void
}

export interface HandleOptions {
  readonly worker: number
  readonly heap: number | undefined
}
