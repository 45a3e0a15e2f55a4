import type { Json } from '../../flow/values.js'
import type { BlobRef, StoredBlob, WriteOptions } from '../contract.js'
import type { RelayLink } from './link.js'
import type { Params } from './wire.js'

/** The part of a `Datastore` that is asked for and answered, without bytes. */
export class RemoteRecords {
  protected constructor(protected readonly link: RelayLink) {}

  createRecord(key: string, value: Json, options: WriteOptions = {}): Promise<boolean> {
    return this.link.ask({ doing: `creating record ${key}`, op: 'create', params: { key, value, ...durable(options) } })
  }

  async putRecord(key: string, value: Json, options: WriteOptions = {}): Promise<void> {
    await this.link.ask({ doing: `writing record ${key}`, op: 'replace', params: { key, value, ...durable(options) } })
  }

  readRecord(key: string): Promise<Json | undefined> {
    return this.link.ask({ doing: `reading record ${key}`, op: 'read', params: { key } })
  }

  listRecords(prefix: string, { depth }: { depth?: number } = {}): Promise<readonly string[]> {
    const params: Params = { prefix, ...(Number.isFinite(depth) ? { depth: depth! } : {}) }
    return this.link.ask({ doing: `listing ${prefix}`, op: 'list', params })
  }

  listChildren(prefix: string): Promise<readonly string[]> {
    return this.link.ask({ doing: `listing ${prefix}`, op: 'children', params: { prefix } })
  }

  async deleteRecord(key: string): Promise<void> {
    await this.link.ask({ doing: `deleting record ${key}`, op: 'delete', params: { key } })
  }

  async deleteRecords(prefix: string): Promise<void> {
    await this.link.ask({ doing: `deleting the records of ${prefix}`, op: 'deleteAll', params: { prefix } })
  }

  hasBlob(hash: string): Promise<boolean> {
    return this.link.ask({ doing: `looking for blob ${hash.slice(0, 12)}`, op: 'has', params: { hash } })
  }

  keepBlob({ hash, size }: BlobRef): Promise<boolean> {
    return this.link.ask({ doing: `looking for blob ${hash.slice(0, 12)}`, op: 'keep', params: { hash, size } })
  }

  deleteBlob(hash: string, { unlessSince }: { unlessSince?: number } = {}): Promise<boolean> {
    const params: Params = { hash, ...(Number.isFinite(unlessSince) ? { unlessSince: unlessSince! } : {}) }
    return this.link.ask({ doing: `deleting blob ${hash.slice(0, 12)}`, op: 'deleteBlob', params })
  }

  /** All at once, about 120 bytes each: meant for the machine that has the datastore. */
  async *listBlobs(): AsyncGenerator<StoredBlob> {
    let pieces: Uint8Array[] = []
    const sink = {
      begin: async () => {
        pieces = []
        return 0
      },
      write: async (piece: Uint8Array) => {
        pieces.push(Buffer.from(piece))
      },
    }
    await this.link.ask({ doing: 'listing all blobs', op: 'blobs', params: {}, sink })
    for (const line of Buffer.concat(pieces).toString('utf8').split('\n')) {
      if (line !== '') yield JSON.parse(line) as StoredBlob
    }
  }

  async tidy(before: number): Promise<void> {
    await this.link.ask({ doing: 'tidying', op: 'tidy', params: { before } })
  }
}

export const durable = (options: WriteOptions): Params => (options.durable === false ? { durable: false } : {})
