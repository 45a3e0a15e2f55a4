import type { Datastore } from '../contract.js'

/** Records read at once. */
const AT_ONCE = 32

/** The hashes that records mention, gathered from those not seen before. */
export class Marks {
  readonly #hashes = new Set<string>()
  readonly #seen = new Set<string>()

  has(hash: string): boolean {
    return this.#hashes.has(hash)
  }

  /** Reads every record that is new since the last call. */
  async gather(store: Datastore, skip: (key: string) => boolean, signal?: AbortSignal): Promise<void> {
    const keys = (await store.listRecords('')).filter((key) => !this.#seen.has(key) && !skip(key))
    let next = 0
    const worker = async () => {
      for (let key = keys[next++]; key !== undefined; key = keys[next++]) {
        signal?.throwIfAborted()
        const value = await store.readRecord(key)
        this.#seen.add(key)
        // Wherever a hash stands in a record, its blob is in use.
        for (const [hash] of JSON.stringify(value ?? null).matchAll(/[0-9a-f]{64}/g)) this.#hashes.add(hash)
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, worker))
  }
}
