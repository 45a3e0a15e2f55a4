import type { FromWorker } from '../protocol.js'

/** A worker's side of its connection with the pool. */
export interface Link {
  /** The board of a thread; a process has none. */
  readonly board: Int32Array | undefined
  /** Throws where a value cannot be cloned; nothing was sent then. */
  post(message: FromWorker, moved: readonly ArrayBuffer[]): void
  /** Says which item a lane holds from now on; position 0 is none. */
  mark(lane: number, batch: number, position: number): void
}
