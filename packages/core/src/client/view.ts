import type { Datastore } from '../datastore/contract.js'
import type { ArtifactCodec } from '../flow/values.js'

/** What every object of the read API reads from. */
export interface View {
  readonly store: Datastore
  readonly codecs: readonly ArtifactCodec[]
}

/** A record as its type; undefined where it is not there. */
export const readSync = <T>(view: View, key: string): T | undefined =>
  view.store.readRecordSync(key) as unknown as T | undefined
