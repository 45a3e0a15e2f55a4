import type { Casualty } from '../../errors/verdict.js'
import type { Json } from '../../flow/values.js'

/**
 * What follows an epoch: the next one, or the end of the gang. Under each version's name there is one, created by
 * whoever was first and never changed: so whoever acts for an epoch that has been followed is too late, whenever it
 * wakes up (D3).
 */
export type Head = Opening | Ended

/** An epoch; its number is its version's. */
export interface Opening {
  readonly kind: 'open'
  /** Counts from 1 through all formations of the attempt, restarts of the scheduler included. */
  readonly epoch: number
  /** The scheduler's restart count (requeues); 0 where there is none. Never falls from epoch to epoch. */
  readonly restart: number
  /** Member id of the control: the lowest of `members`. */
  readonly control: string
  /** In node order. */
  readonly members: readonly string[]
  /** Hosts of the members, in the same order. */
  readonly hosts?: readonly string[]
  /** Who opened it: a member id, or `launcher`. */
  readonly by: string
  /** Why the epoch before ended: those that were lost, the first cause first. */
  readonly lost?: readonly Lost[]
  /** Drawn for it: tells it from another's of the same facts. */
  readonly id: string
  /** Milliseconds since 1970 of the opener's clock: for display only. */
  readonly at: number
}

/** One loss that a new epoch was formed after. */
export interface Lost {
  readonly summary: string
  readonly casualty: Casualty
}

/** The end of the gang under the epoch before this version. */
export interface Ended {
  readonly kind: 'end'
  /** The epoch that was current; its version is one higher. */
  readonly epoch: number
  readonly by: string
  /** What the end commits. Who finds an end without its record stores it: whoever won may have died before it did. */
  readonly record?: { readonly key: string; readonly value: Json }
  readonly id: string
  readonly at: number
}

/** Create-if-absent of versions: by a datastore, or by a majority of the last roster. */
export interface Succession {
  /** What is known to be decided under a version. */
  read(version: number): Promise<Head | undefined>
  /** Creates it if there is none; gives what is there then. Rejects with `E_GANG_NO_QUORUM` when nobody can say. */
  decide(version: number, head: Head): Promise<Head>
}

export interface OpenRequest {
  /** The epoch that it is to follow; 0 for the first. */
  readonly after: number
  readonly restart?: number
  /** Member ids of those that will be in it, in any order. */
  readonly living: readonly string[]
  /** Host by member id, for the record. */
  readonly hosts?: Readonly<Record<string, string>>
  readonly lost?: readonly Lost[]
  readonly signal?: AbortSignal
}

/**
 * Who alone opens an epoch and names its control. Three forms: the owner launcher, a datastore, a majority of the last
 * roster's members. All fence alike: a version is decided once.
 */
export interface Arbiter {
  readonly kind: 'owner' | 'datastore' | 'majority'
  /** The latest version that is known here. */
  head(): Promise<Head | undefined>
  /**
   * Opens the epoch after `after`: `E_GANG_MIN_LIVING` with fewer than `minNodes`, `E_GANG_FENCED` where another has
   * followed already. A member's arbiter waits until the lease of the last control has expired.
   */
  open(request: OpenRequest): Promise<Opening>
  /** Ends the gang under an epoch, with its record; `E_GANG_FENCED` where that epoch has been followed. */
  end(epoch: number, record: Ended['record']): Promise<Ended>
}
