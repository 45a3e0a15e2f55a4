import { isDeepStrictEqual } from 'node:util'
import { GangflowError } from '../../errors/base.js'
import type { Json } from '../../flow/values.js'
import type { BlobRef, Datastore, WriteOptions } from '../contract.js'
import type { Patience, Wait } from '../patience.js'
import { SLOWEST_DISK } from '../patient.js'
import { noAnswer, outOfScope, strangeFrame } from './failures.js'
import type { RelayScope } from './scope.js'
import type { Download, Upload } from './transfers.js'
import type { Ask, Op } from './wire.js'

/** What who serves the bodies of a host shares with them: files. */
export interface HostSide {
  /** Directory of the blobs that are here. */
  readonly cache: string
  readonly scratch: string
  /** Brings a blob into the cache. */
  fetch(hash: string): Promise<void>
  /** Stores a blob that lies in the cache. */
  push(ref: BlobRef, options: WriteOptions & { signal: AbortSignal }): Promise<void>
}

/** One ask and all that is needed to answer it. */
export interface Operation {
  readonly ask: Ask
  readonly bytes: Uint8Array
  readonly upload: Upload
  readonly download: Download
  readonly signal: AbortSignal
  /** It may have been performed by somebody whose answer is not known here. */
  readonly inherited: boolean
  readonly store: Datastore
  readonly scope: RelayScope
  readonly host: HostSide | undefined
  readonly patience: Patience
}

/** Performs what was asked. Rejects with the store's error, E_DATASTORE_SCOPE, _TIMEOUT or _PROTOCOL. */
export function operations(operation: Operation): Promise<Json | undefined> {
  const { op } = operation.ask
  if (!Object.hasOwn(table, op)) return Promise.reject(strangeFrame(`an ask for '${String(op)}'`))
  return table[op](operation)
}

type Perform = (operation: Operation) => Promise<Json | undefined>

const table: Readonly<Record<Op, Perform>> = {
  async host({ host, store }) {
    return host ? { cache: host.cache, scratch: host.scratch } : { cache: null, scratch: null, store: store.location }
  },
  async put(operation) {
    const { bytes, store } = operation
    const ref = refOf(operation)
    const doing = `storing blob ${ref.hash.slice(0, 12)}`
    const stored = await bounded(operation, doing, () => store.putBlob(bytes, durability(operation)))
    if (stored.hash !== ref.hash) throw changed(ref)
    return undefined
  },
  async upload(operation) {
    const { store, upload, signal } = operation
    const ref = refOf(operation)
    await bounded(operation, `storing blob ${ref.hash.slice(0, 12)}`, async (wait) => {
      if (await store.keepBlob(ref)) return
      const stored = await store.putBlob(moving(upload.read(busy(wait)), wait, ref.size), {
        ...durability(operation),
        signal,
      })
      if (stored.hash !== ref.hash) throw changed(ref)
    })
    return undefined
  },
  async download(operation) {
    const { store, download, signal } = operation
    const hash = text(operation, 'hash')
    // What came over a connection that broke is read again, for the hash, and not sent again.
    let known = Number(operation.ask.params['from'] ?? 0)
    await bounded(operation, `reading blob ${hash.slice(0, 12)}`, async (wait) => {
      for await (const part of store.streamBlob(hash, { signal })) {
        wait.sign()
        const fresh = part.subarray(Math.min(known, part.length))
        known -= part.length - fresh.length
        await download.write(fresh, busy(wait))
      }
    })
    return undefined
  },
  async push({ ask, host, signal }) {
    const { hash, size, durable } = ask.params
    if (!host || typeof hash !== 'string' || typeof size !== 'number') throw strangeFrame("a 'push' that is none")
    await host.push({ hash, size }, { durable: durable !== false, signal })
    return undefined
  },
  async fetch(operation) {
    if (!operation.host) throw strangeFrame("a 'fetch' from who shares no files")
    await operation.host.fetch(text(operation, 'hash'))
    return undefined
  },
  async has(operation) {
    const hash = text(operation, 'hash')
    return await bounded(operation, `looking for blob ${hash.slice(0, 12)}`, () => operation.store.hasBlob(hash))
  },
  async keep(operation) {
    const ref = refOf(operation)
    return await bounded(operation, `looking for blob ${ref.hash.slice(0, 12)}`, () => operation.store.keepBlob(ref))
  },
  async create(operation) {
    const { ask, inherited, store } = operation
    const { key, value } = written(operation, 'create')
    return await bounded(operation, `creating record ${key}`, async () => {
      if (await store.createRecord(key, value, durability(operation))) return true
      // Who served it before may have created it, and the answer was lost.
      return inherited && ask.again === true && isDeepStrictEqual(await store.readRecord(key), value)
    })
  },
  async replace(operation) {
    const { key, value } = written(operation, 'replace')
    await bounded(operation, `writing record ${key}`, () =>
      operation.store.putRecord(key, value, durability(operation)),
    )
    return undefined
  },
  async read(operation) {
    const key = readable(operation, 'key')
    return await bounded(operation, `reading record ${key}`, () => operation.store.readRecord(key))
  },
  async list(operation) {
    const prefix = readable(operation, 'prefix')
    const { depth } = operation.ask.params
    const options = typeof depth === 'number' ? { depth } : {}
    return await bounded(operation, `listing ${prefix}`, () => operation.store.listRecords(prefix, options))
  },
  async children(operation) {
    const prefix = readable(operation, 'prefix')
    return await bounded(operation, `listing ${prefix}`, () => operation.store.listChildren(prefix))
  },
  async delete(operation) {
    const key = managed(operation, 'key')
    await bounded(operation, `deleting record ${key}`, () => operation.store.deleteRecord(key))
    return undefined
  },
  async deleteAll(operation) {
    const prefix = managed(operation, 'prefix')
    await bounded(operation, `deleting the records of ${prefix}`, () => operation.store.deleteRecords(prefix))
    return undefined
  },
  async deleteBlob(operation) {
    const hash = managed(operation, 'hash')
    const { unlessSince } = operation.ask.params
    const options = typeof unlessSince === 'number' ? { unlessSince } : {}
    return await bounded(operation, `deleting blob ${hash.slice(0, 12)}`, () =>
      operation.store.deleteBlob(hash, options),
    )
  },
  async blobs(operation) {
    const { scope, store, download } = operation
    if (!scope.manages) throw outOfScope('listing all blobs', scope.why)
    await bounded(operation, 'listing all blobs', async (wait) => {
      for await (const blob of store.listBlobs()) {
        wait.sign()
        await download.write(Buffer.from(`${JSON.stringify(blob)}\n`), busy(wait))
      }
    })
    return undefined
  },
  async tidy(operation) {
    const { ask, scope, store } = operation
    if (!scope.manages) throw outOfScope('tidying', scope.why)
    await bounded(operation, 'tidying', () => store.tidy(Number(ask.params['before'])))
    return undefined
  },
}

/** `work`, as long as it gets on: a store that hangs is named. */
function bounded<T>({ patience, store }: Operation, doing: string, work: (wait: Wait) => Promise<T>): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const wait = patience.wait(() => reject(noAnswer(`the datastore ${store.location}`, doing, patience.limitMs)))
    work(wait)
      .finally(() => wait.end())
      .then(resolve, reject)
  })
}

/** No time passes for the store while its client is waited for. */
const busy = (wait: Wait) => (on: boolean) => {
  wait.busy = on
  wait.sign()
}

async function* moving(pieces: AsyncIterable<Uint8Array>, wait: Wait, size: number): AsyncGenerator<Uint8Array> {
  for await (const piece of pieces) {
    wait.sign()
    yield piece
  }
  // All of it may still have to reach the disk.
  wait.sign(size / SLOWEST_DISK)
}

const durability = ({ ask }: Operation): WriteOptions => ({ durable: ask.params['durable'] !== false })

function text({ ask }: Operation, name: string): string {
  const value = ask.params[name]
  if (typeof value !== 'string') throw strangeFrame(`'${ask.op}' without ${name}`)
  return value
}

function refOf(operation: Operation): BlobRef {
  const { size } = operation.ask.params
  if (typeof size !== 'number') throw strangeFrame(`'${operation.ask.op}' without size`)
  return { hash: text(operation, 'hash'), size }
}

function written(operation: Operation, how: 'create' | 'replace'): { key: string; value: Json } {
  const key = text(operation, 'key')
  if (!operation.scope.writes(key, how)) throw outOfScope(`writing record ${key}`, operation.scope.why)
  return { key, value: operation.ask.params['value'] ?? null }
}

function readable(operation: Operation, name: 'key' | 'prefix'): string {
  const key = text(operation, name)
  if (!operation.scope.reads(key)) throw outOfScope(`reading ${key === '' ? 'all records' : key}`, operation.scope.why)
  return key
}

function managed(operation: Operation, name: string): string {
  const what = text(operation, name)
  if (!operation.scope.manages) throw outOfScope(`deleting ${what}`, operation.scope.why)
  return what
}

const changed = (ref: BlobRef): GangflowError =>
  new GangflowError({
    code: 'E_DATASTORE_CORRUPT',
    what: `blob ${ref.hash.slice(0, 12)} arrived with other bytes than it was announced with`,
    fix: 'the file was changed meanwhile, or a disk or memory failed: run the step again',
    details: { hash: ref.hash },
  })
