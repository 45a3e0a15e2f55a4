import type { MessagePort } from 'node:worker_threads'
import type { Place } from '../contract.js'
import type { CallShape } from '../shape.js'
import type { SharedMemory } from '../wasm.js'

/** Version of what ranks say to each other; another one is refused. */
export const PROTOCOL = 1

/** What a failure tells, as it travels between threads and ranks. */
export interface FailureFacts {
  readonly code: string
  readonly what: string
  readonly fix: string
  /** The rank that it is about. */
  readonly rank?: number
}

/** Bytes that the worker uses of the shared memory, from place 0 on, for each connection that brings data. */
export interface LinkSpace {
  /** What is read and not at once in its place. */
  readonly scratch: number
  /** A whole small message. */
  readonly landing: number
  /** An element of which a part has come. */
  readonly side: number
}
export interface Layout {
  readonly incoming: ReadonlyMap<number, LinkSpace>
  /** A header and a small message. */
  readonly outgoing: ReadonlyMap<number, number>
}

/** Words of the state that both threads see. The number of the last call done and a failure never share one. */
export const DONE = 0
export const FAILED = 1
/** Raised and notified whenever one of the others changes: what a blocked thread waits on. */
export const BELL = 2
/** Moves on as long as the worker runs. */
export const HEARTBEAT = 3
export const STATE_WORDS = 4

export interface WorkerStart {
  readonly port: MessagePort
  readonly rank: number
  readonly size: number
  readonly secret: Uint8Array
  readonly name: string
  readonly version: string
  readonly memory: SharedMemory
  readonly layout: Layout
  readonly state: SharedArrayBuffer
  readonly listen: { readonly path?: string; readonly tcp?: { readonly host: string; readonly port: number } }
  readonly connectTimeoutMs: number
  readonly silenceMs: number
}

export interface CallRequest {
  readonly type: 'call'
  /** Counts from 1. */
  readonly sequence: number
  readonly shape: CallShape
  /** Place of the work space in the shared memory. */
  readonly at: number
  readonly timeoutMs: number
  /** Someone waits on the bell: no message is needed at the end. */
  readonly blocking: boolean
}

export type ToWorker =
  | { readonly type: 'connect'; readonly places: readonly Place[] }
  | CallRequest
  /** A person gave up; `sequence` 0: the connecting. */
  | { readonly type: 'abandon'; readonly sequence: number; readonly why: string }
  | { readonly type: 'close' }

export type FromWorker =
  | { readonly type: 'listening'; readonly path?: string; readonly port?: number }
  | { readonly type: 'ready' }
  | { readonly type: 'done'; readonly sequence: number }
  | { readonly type: 'failed'; readonly facts: FailureFacts }
  | { readonly type: 'closed' }
