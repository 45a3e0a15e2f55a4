import type {
  EpochEnd as Ended,
  EpochHead as Head,
  EpochLoss as Lost,
  EpochOpening as Opening,
} from '../../datastore/records.js'

export type { Ended, Head, Lost, Opening }

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
