import type { Datastore } from '../../datastore/contract.js'
import { type AttemptAddress, keys } from '../../datastore/records.js'
import type { Json } from '../../flow/values.js'
import type { Head, Succession } from './contract.js'

/** Versions as records of the attempt, by create-if-absent: alike on a directory, through a relay and on S3. */
export function datastoreSuccession(store: Datastore, address: AttemptAddress, durable = true): Succession {
  const read = async (version: number) =>
    (await store.readRecord(keys.epochHead(address, version))) as unknown as Head | undefined
  return {
    read,
    async decide(version, head) {
      const key = keys.epochHead(address, version)
      if (await store.createRecord(key, head as unknown as Json, { durable })) return head
      return (await read(version)) ?? head
    },
  }
}
