import type { BlobRef, Datastore } from '../../datastore/contract.js'
import { type AttemptAddress, keys } from '../../datastore/records.js'
import { GangflowError } from '../../errors/base.js'
import type { Json } from '../../flow/values.js'
import type { Checkpoints } from '../../plugin/contract.js'
import { pack, unpack } from './values.js'

/** Bytes of the number before a value's JSON. */
const PREFIX = 4

/**
 * A gang's checkpoints as blobs and records: each epoch writes under its own name only, and reads its own, else the
 * latest of the epochs and attempts before, so that whoever was given up and writes late changes nothing that was saved since.
 */
export function checkpoints(datastore: Datastore, address: AttemptAddress, epoch: number): Checkpoints {
  return {
    async save(name, value) {
      const { head, bytes } = pack(value, `checkpoint '${checked(name)}'`)
      const json = Buffer.from(JSON.stringify(head))
      const prefix = Buffer.alloc(PREFIX)
      prefix.writeUInt32BE(json.length)
      const blob = await datastore.putBlob(Buffer.concat([prefix, json, bytes]))
      await datastore.putRecord(keys.checkpoint(address, epoch, name), { blob } as unknown as Json)
    },
    async load<T>(name: string): Promise<T | undefined> {
      checked(name)
      for (let attempt = address.attempt; attempt >= 0; attempt -= 1) {
        const found = await latest(
          datastore,
          { ...address, attempt },
          name,
          attempt === address.attempt ? epoch : undefined,
        )
        if (!found) continue
        const all = Buffer.from(await datastore.getBlob(found.hash))
        const end = PREFIX + all.readUInt32BE(0)
        const head = JSON.parse(all.toString('utf8', PREFIX, end)) as Json
        return unpack({ head, bytes: all.subarray(end) }) as T
      }
      return undefined
    },
  }
}

/** What the latest epoch up to `until` saved under a name. */
async function latest(
  datastore: Datastore,
  address: AttemptAddress,
  name: string,
  until = Number.POSITIVE_INFINITY,
): Promise<BlobRef | undefined> {
  const epochs = (await datastore.listChildren(`${keys.attempt(address)}/epochs`)).map(Number)
  for (const epoch of epochs.filter((one) => one <= until).sort((a, b) => b - a)) {
    const record = await datastore.readRecord(keys.checkpoint(address, epoch, name))
    if (record) return (record as unknown as { blob: BlobRef }).blob
  }
  return undefined
}

function checked(name: string): string {
  if (typeof name === 'string' && /^[A-Za-z0-9._@=-]{1,100}$/.test(name) && !/^\.+$/.test(name)) return name
  throw new GangflowError({
    code: 'E_GANG_CHECKPOINT',
    what: `${JSON.stringify(name)} is no name of a checkpoint`,
    fix: 'use letters, digits and . _ @ = - only, such as model or shard-3',
  })
}
