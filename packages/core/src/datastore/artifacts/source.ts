import { GangflowError } from '../../errors/base.js'
import type { ArtifactSource } from '../../flow/invocation.js'
import type { ArtifactCodec } from '../../flow/values.js'
import type { ArtifactRef, Datastore } from '../contract.js'
import type { ArtifactTable } from '../records.js'
import { decodeArtifact } from './artifact.js'
import { formatPath } from './refuse.js'

/** Larger blobs are read in pieces, so that a typed array is in memory once. */
const WHOLE = 1 << 20
/** Bytes of packs kept for the next artifact that lies in them, for each store. */
const KEPT = 16 << 20

export interface ReadOptions {
  readonly codecs?: readonly ArtifactCodec[] | undefined
  /** For the words of an error. */
  readonly name?: string
  readonly step?: string | undefined
}

export interface SourceOptions {
  readonly codecs?: readonly ArtifactCodec[]
  readonly step?: string
  /** Names that a join's parents set differently, with the steps that did. */
  readonly ambiguous?: Readonly<Record<string, readonly string[]>>
}

/** Lazy, synchronous reading of a task's artifacts (`flow/invocation.ts`). Every read decodes anew. */
export function artifactSource(store: Datastore, table: ArtifactTable, options: SourceOptions = {}): ArtifactSource {
  const { ambiguous = {}, codecs, step } = options
  return {
    names: () => [...new Set([...Object.keys(table), ...Object.keys(ambiguous)])],
    ambiguous: (name) => (Object.hasOwn(ambiguous, name) ? ambiguous[name] : undefined),
    read(name) {
      const ref = Object.hasOwn(table, name) ? table[name] : undefined
      if (ref !== undefined) return readArtifact(store, ref, { codecs, name, step })
      const known = Object.keys(table)
      throw new GangflowError({
        code: 'E_ARTIFACT_UNKNOWN',
        what: `there is no artifact '${name}'${step === undefined ? '' : ` after step '${step}'`}`,
        fix: known.length === 0 ? 'no artifact was set before it' : `there are: ${known.join(', ')}`,
        step,
        details: { artifact: name },
      })
    },
  }
}

/** One artifact's value. Throws E_ARTIFACT_CODEC, E_ARTIFACT_CORRUPT or an error of the datastore. */
export function readArtifact(store: Datastore, ref: ArtifactRef, options: ReadOptions = {}): unknown {
  try {
    if (ref.range !== undefined) {
      const [offset, length] = ref.range
      const pack = packs.get(store, ref.hash)
      return decodeArtifact(pack.subarray(offset, offset + length), ref.codec, options.codecs)
    }
    if (ref.size <= WHOLE) return decodeArtifact(store.getBlobSync(ref.hash), ref.codec, options.codecs)
    const reader = store.openBlobSync(ref.hash)
    try {
      return decodeArtifact(reader, ref.codec, options.codecs)
    } finally {
      reader.close()
    }
  } catch (error) {
    if (GangflowError.is(error)) throw error
    const subject = options.name === undefined ? 'an artifact' : `artifact '${formatPath(options.name, [])}'`
    throw new GangflowError(
      {
        code: 'E_ARTIFACT_CORRUPT',
        what: `${subject}${options.step === undefined ? '' : ` of step '${options.step}'`} cannot be read: its bytes are no ${ref.codec}`,
        fix: 'it was written by a newer version or by a broken codec: run the step again with this one',
        step: options.step,
        details: { artifact: options.name, hash: ref.hash },
      },
      { cause: error },
    )
  }
}

/** Packs read lately, newest last. */
const packs = {
  byStore: new WeakMap<Datastore, Map<string, Uint8Array>>(),

  get(store: Datastore, hash: string): Uint8Array {
    let kept = packs.byStore.get(store)
    if (kept === undefined) {
      kept = new Map()
      packs.byStore.set(store, kept)
    }
    const bytes = kept.get(hash) ?? store.getBlobSync(hash)
    kept.delete(hash)
    kept.set(hash, bytes)
    let size = 0
    for (const pack of kept.values()) size += pack.length
    for (const [oldest, pack] of kept) {
      if (size <= KEPT) break
      kept.delete(oldest)
      size -= pack.length
    }
    return bytes
  },
}
