import type { Packed } from './codec.js'
import type { SharedRow } from './shared-row.js'

/**
 * What passes between the pool and a worker. The `board` is a word array that both sides see (threads only): it tells
 * which item each lane holds, so that a dead worker's item is known, and lets the pool take work back at once.
 */

/**
 * Words of the board: the newest batch that was begun or taken back, the one that is to be given back, and the end of
 * the claimed range of a segment. Then come two words a lane: batch, and position in it plus one.
 */
export const claimed = 0
export const yielding = 1
export const rangeEnd = 2
export const firstLane = 3
export const laneWords = 2
export const mostLanes = 256
export const boardBytes = (firstLane + laneWords * mostLanes) * 4

/** What starts a worker. */
export interface WorkerStart {
  readonly worker: number
  readonly board: SharedArrayBuffer | undefined
  /** The file of this package, for maps inside of maps. */
  readonly url: string
}

/** The file descriptor on which a worker process writes its marks; the channel has the one before. */
export const markPipe = 4

/** A function with what it captured, as data: `root` is the node that is the function. */
export interface Program {
  readonly nodes: readonly Node[]
  readonly root: number
}

/** A value by itself, or the number of a node. */
export type Ref = { readonly n: number } | { readonly v: unknown }

export type Node =
  /** Something that structured cloning keeps as it is. */
  | { readonly k: 'data'; readonly value: unknown }
  /** Plain data all through; each worker has it read-only. */
  | { readonly k: 'tree'; readonly value: unknown }
  /** A view over a buffer; buffers above 4 GiB lose their length as views. */
  | {
      readonly k: 'view'
      readonly type: string
      readonly buffer: unknown
      readonly at: number
      readonly length: number
    }
  | { readonly k: 'array'; readonly items: readonly Ref[]; readonly frozen: boolean }
  | { readonly k: 'map'; readonly entries: readonly (readonly [Ref, Ref])[]; readonly frozen: boolean }
  | { readonly k: 'set'; readonly items: readonly Ref[]; readonly frozen: boolean }
  | {
      readonly k: 'object'
      readonly proto: Ref | null | undefined
      readonly props: readonly Property[]
      readonly frozen: boolean
    }
  | FunctionNode
  /** The `prototype` of a class. */
  | { readonly k: 'prototype'; readonly of: Ref }
  /** Something of the language or of Node: `Object.defineProperty`, `node:fs#readFileSync`. */
  | { readonly k: 'builtin'; readonly module: string | undefined; readonly path: readonly string[] }
  /** An export of a package: the file is loaded in the worker. `path` is empty for the module itself. */
  | { readonly k: 'module'; readonly file: string; readonly commonJs: boolean; readonly path: readonly string[] }
  /** What a constructor on the global object makes of what is given to it. */
  | { readonly k: 'made'; readonly path: readonly string[]; readonly given: readonly unknown[] }
  /** A `require` of the file. */
  | { readonly k: 'require'; readonly file: string }
  /** One of this package's own functions, which the worker has. */
  | { readonly k: 'own'; readonly name: string }
  /** A well-known or registered symbol. */
  | { readonly k: 'symbol'; readonly key: string; readonly registered: boolean }

export interface Property {
  readonly key: string | Ref
  readonly value?: Ref
  readonly get?: Ref
  readonly set?: Ref
  readonly enumerable: boolean
}

export interface FunctionNode {
  readonly k: 'function'
  /** An expression that gives the function, once its free names are bound. */
  readonly source: string
  readonly strict: boolean
  readonly isClass: boolean
  /** Where the text stands in the person's file, so that stacks name that; lines and columns count from 0. */
  readonly file: string | undefined
  readonly line: number
  readonly column: number
  /** Free names and what they are bound to. */
  readonly names: readonly (readonly [string, Ref])[]
  /** For an arrow of a flow's method: what its `this` is. */
  readonly self: Ref | undefined
  /** Own properties that were put on it, and on its `prototype`. */
  readonly props: readonly Property[]
  readonly prototype: readonly Property[]
}

export type ToWorker =
  | { readonly k: 'init'; readonly program: Program | undefined }
  | { readonly k: 'program'; readonly job: number; readonly program: Program; readonly options: RunOptions }
  | {
      readonly k: 'run'
      readonly job: number
      readonly batch: number
      readonly first: number
      readonly items: Packed | SharedItems
      /** The worker alone has them: what it does not begin it sends back. */
      readonly moved: boolean
    }
  | { readonly k: 'drop'; readonly job: number }

/** Items in shared memory, of which each worker that gets them claims ranges until none are left. */
export interface SharedItems {
  readonly k: 'shared'
  readonly row: SharedRow
  readonly length: number
  /** One word: the first position that nobody has claimed. */
  readonly cursor: SharedArrayBuffer
  /** A number for each item, where its result is one. It may be the memory of the items: each is read before. */
  readonly results: SharedArrayBuffer
  /** Items claimed at once; measured where undefined. */
  readonly batch: number | undefined
  readonly workers: number
}

export interface RunOptions {
  readonly lanes: number
  /** Goes on after an item that failed. */
  readonly collect: boolean
  readonly moveResults: boolean
}

export type FromWorker =
  | { readonly k: 'ready' }
  | { readonly k: 'refused'; readonly error: WireError }
  /** A program could not be rebuilt. */
  | { readonly k: 'broken'; readonly job: number; readonly error: WireError }
  | Done

/** What a worker has of a batch; the last one of a batch says which of its items it gives back. */
export interface Done {
  readonly k: 'done'
  readonly batch: number
  /** Position of the first value, or of each. */
  readonly at: number | readonly number[]
  readonly values: Packed
  readonly errors: readonly (readonly [position: number, error: WireError])[]
  /** Of a segment: begins and ends of ranges whose results lie in its shared memory. */
  readonly stored?: readonly number[]
  readonly end: boolean
  readonly rest: number
  /** Position of the first item that is given back. */
  readonly restAt: number
  /** Those items, where they had been moved to the worker. */
  readonly back?: Packed
  /** Milliseconds that the worker was at it. */
  readonly spent: number
}

/** Anything thrown, as data. */
export interface WireError {
  /** What became of the item: it threw, its result cannot be sent, or it wrote to a read-only capture. */
  readonly kind: 'thrown' | 'result' | 'readonly'
  readonly isError: boolean
  readonly name: string
  readonly message: string
  readonly stack: string
  /** Own properties that can be cloned (`code` and the like). */
  readonly props: Readonly<Record<string, unknown>>
  /** What was thrown, where it is no error and can be cloned. */
  readonly value?: unknown
  readonly cause?: WireError
  /** Those of an AggregateError. */
  readonly errors?: readonly WireError[]
}
