import { GangflowError } from '../errors/base.js'
import { countHung } from '../errors/hung-calls.js'
import type { BlobReader, BlobRef, Datastore, PutBlobOptions } from './contract.js'
import { Patience, type Wait } from './patience.js'
import { noAnswer } from './relay/failures.js'

/** Milliseconds within which a disk has to get on with what it was asked, where `GANGFLOW_DATASTORE_TIMEOUT` says nothing. */
const SILENCE_MS = 120_000
/** The same for a disk that has just let somebody wait in vain. */
const AGAIN_MS = 1_000
/** Bytes that a disk writes in a millisecond at least. */
export const SLOWEST_DISK = 16 << 10

/** The seconds of `GANGFLOW_DATASTORE_TIMEOUT`, in milliseconds. Throws E_OPTION. */
export function silenceOf(env: NodeJS.ProcessEnv = process.env): number {
  const given = env['GANGFLOW_DATASTORE_TIMEOUT']
  if (given === undefined || given === '') return SILENCE_MS
  const seconds = Number(given)
  if (seconds > 0 && seconds <= 86_400) return seconds * 1000
  throw new GangflowError({
    code: 'E_OPTION',
    what: `GANGFLOW_DATASTORE_TIMEOUT=${given} is no number of seconds up to 86400`,
    fix: 'for example GANGFLOW_DATASTORE_TIMEOUT=300',
  })
}

/** Has a synchronous call watched from outside, which nobody in this process could end. */
export type Around = <T>(whom: string, doing: string, limitMs: number, call: () => T) => T

/**
 * The store, of which nobody waits for ever: what has given no sign for so long fails with E_DATASTORE_TIMEOUT. After that
 * little is waited for until something comes back. Synchronous calls wait as the disk does, within `around`.
 */
export function patient(store: Datastore, silenceMs: number, around?: Around): Datastore {
  const usual = new Patience(silenceMs)
  const again = new Patience(Math.min(silenceMs, AGAIN_MS))
  let hangs = false
  const bounded = <T>(doing: string, work: (wait: Wait) => Promise<T>): Promise<T> =>
    new Promise<T>((resolve, reject) => {
      const patience = hangs ? again : usual
      let givenUp = false
      const wait = patience.wait(() => {
        hangs = true
        givenUp = true
        countHung(1)
        reject(noAnswer(`the datastore ${store.location}`, doing, patience.limitMs))
      })
      // What it throws at once is thrown as what it rejects with.
      Promise.resolve(wait)
        .then(work)
        .finally(() => {
          wait.end()
          hangs = false
          if (givenUp) countHung(-1)
        })
        .then(resolve, reject)
    })
  const noted = <T>(doing: string, call: () => T): T =>
    around ? around(`the datastore ${store.location}`, doing, silenceMs, call) : call()
  const openNoted = (hash: string): BlobReader => {
    const doing = `reading blob ${short(hash)}`
    const reader = noted(doing, () => store.openBlobSync(hash))
    if (!around) return reader
    return {
      size: reader.size,
      readSync: (target) => noted(doing, () => reader.readSync(target)),
      close: () => reader.close(),
    }
  }
  const short = (hash: string) => hash.slice(0, 12)
  return {
    location: store.location,
    ...(store.away === undefined ? {} : { away: store.away }),
    putBlob: (data, options) => bounded('storing a blob', (wait) => put(store, data, options, wait)),
    hasBlob: (hash) => bounded(`looking for blob ${short(hash)}`, () => store.hasBlob(hash)),
    keepBlob: (ref) => bounded(`looking for blob ${short(ref.hash)}`, () => store.keepBlob(ref)),
    getBlob: (hash, options) =>
      bounded(`reading blob ${short(hash)}`, (wait) =>
        store.getBlob(hash, { ...options, progress: () => wait.sign() }),
      ),
    streamBlob: (hash, options) =>
      pieces(bounded, `reading blob ${short(hash)}`, () => store.streamBlob(hash, options)),
    getBlobSync: (hash) => noted(`reading blob ${short(hash)}`, () => store.getBlobSync(hash)),
    openBlobSync: openNoted,
    createRecord: (key, value, options) =>
      bounded(`creating record ${key}`, () => store.createRecord(key, value, options)),
    putRecord: (key, value, options) => bounded(`writing record ${key}`, () => store.putRecord(key, value, options)),
    readRecord: (key) => bounded(`reading record ${key}`, () => store.readRecord(key)),
    readRecordSync: (key) => noted(`reading record ${key}`, () => store.readRecordSync(key)),
    listRecords: (prefix, options) => bounded(`listing ${prefix}`, () => store.listRecords(prefix, options)),
    listChildren: (prefix) => bounded(`listing ${prefix}`, () => store.listChildren(prefix)),
    listChildrenSync: (prefix) => noted(`listing ${prefix}`, () => store.listChildrenSync(prefix)),
    deleteRecord: (key) => bounded(`deleting record ${key}`, () => store.deleteRecord(key)),
    deleteRecords: (prefix) => bounded(`deleting the records of ${prefix}`, () => store.deleteRecords(prefix)),
    deleteBlob: (hash, options) => bounded(`deleting blob ${short(hash)}`, () => store.deleteBlob(hash, options)),
    listBlobs: () => pieces(bounded, 'listing all blobs', () => store.listBlobs()),
    tidy: (before) => bounded('tidying', () => store.tidy(before)),
    scratch: (...segments) => store.scratch(...segments),
    close: () => bounded('closing', () => store.close()),
  }
}

type Bounded = <T>(doing: string, work: () => Promise<T>) => Promise<T>

/** Bytes of which the disk has time to write what has come, and none passes for it while the source is waited for. */
function put(
  store: Datastore,
  data: Uint8Array | AsyncIterable<Uint8Array>,
  options: PutBlobOptions | undefined,
  wait: Wait,
): Promise<BlobRef> {
  if (data instanceof Uint8Array) {
    wait.sign(data.length / SLOWEST_DISK)
    return store.putBlob(data, options)
  }
  return store.putBlob(arriving(data, wait), options)
}

async function* arriving(data: AsyncIterable<Uint8Array>, wait: Wait): AsyncGenerator<Uint8Array> {
  let size = 0
  wait.busy = true
  try {
    for await (const piece of data) {
      wait.busy = false
      size += piece.length
      wait.sign(piece.length / SLOWEST_DISK)
      yield piece
      wait.busy = true
    }
  } finally {
    wait.busy = false
    // All of it may still have to reach the disk.
    wait.sign(size / SLOWEST_DISK)
  }
}

/** Each further piece has its own time; what its reader does with one has none. */
async function* pieces<T>(bounded: Bounded, doing: string, open: () => AsyncIterable<T>): AsyncGenerator<T> {
  const from = open()[Symbol.asyncIterator]()
  try {
    for (;;) {
      const { done, value } = await bounded(doing, () => from.next())
      if (done) return
      yield value
    }
  } finally {
    // One that hangs in the middle of a piece would not come back from this.
    from.return?.()?.catch(() => {})
  }
}
