import type { ArtifactChange } from '../../flow/invocation.js'
import type { ArtifactCodec } from '../../flow/values.js'
import type { ArtifactRef, Datastore } from '../contract.js'
import type { ArtifactTable } from '../records.js'
import { digestOf, type EncodedArtifact, encodeArtifact } from './artifact.js'

/** Artifacts below this size share a blob. */
const PACKED = 64 << 10
/** A pack is not made larger than this: reading one of its artifacts reads all of it. */
const PACK = 1 << 20

export interface SaveOptions {
  readonly step?: string
  readonly codecs?: readonly ArtifactCodec[]
  readonly signal?: AbortSignal
}

/**
 * Stores what a step changed and gives the table after it: carried artifacts and those whose bytes are what they
 * were keep their reference, small ones go together into one blob, large ones are written from where they lie.
 * Throws E_ARTIFACT_UNSUPPORTED before anything is stored that comes after the offending one.
 */
export async function saveArtifacts(
  store: Datastore,
  changes: readonly ArtifactChange[],
  inherited: ArtifactTable,
  options: SaveOptions = {},
): Promise<ArtifactTable> {
  const writer = new ArtifactWriter(store, options)
  const names: string[] = []
  const refs: Promise<ArtifactRef>[] = []
  for (const change of changes) {
    const before = Object.hasOwn(inherited, change.name) ? inherited[change.name] : undefined
    if (change.state === 'carried' && before === undefined) continue
    names.push(change.name)
    refs.push(
      change.state === 'carried' ? Promise.resolve(before!) : (await writer.add(change.name, change.value, before)).ref,
    )
  }
  await writer.finish()
  const settled = await Promise.all(refs)
  return Object.fromEntries(names.map((name, index) => [name, settled[index]!]))
}

/** Stores values that have no name of their own, such as the items of a foreach: `label[0]`, `label[1]`, … */
export async function saveValues(
  store: Datastore,
  values: readonly unknown[],
  options: SaveOptions & { readonly label: string },
): Promise<ArtifactRef[]> {
  const writer = new ArtifactWriter(store, options)
  const refs: Promise<ArtifactRef>[] = []
  for (const [index, value] of values.entries()) refs.push((await writer.add(`${options.label}[${index}]`, value)).ref)
  await writer.finish()
  return await Promise.all(refs)
}

/** True when two references mean equal bytes, wherever they lie. */
export const sameArtifact = (one: ArtifactRef, other: ArtifactRef): boolean =>
  one.codec === other.codec && contentOf(one) === contentOf(other)

const contentOf = (ref: ArtifactRef): string =>
  ref.digest ?? (ref.range === undefined ? ref.hash : `${ref.hash}@${ref.range}`)

interface Waiting {
  readonly encoded: EncodedArtifact
  readonly digest: string | undefined
  settle(ref: ArtifactRef): void
}

class ArtifactWriter {
  #waiting: Waiting[] = []
  #size = 0

  constructor(
    private readonly store: Datastore,
    private readonly options: SaveOptions & { readonly label?: string },
  ) {}

  /** Settles when the value's bytes are taken; `ref` when they are stored. */
  async add(name: string, value: unknown, before?: ArtifactRef): Promise<{ ref: Promise<ArtifactRef> }> {
    const { step, codecs, signal } = this.options
    signal?.throwIfAborted()
    const encoded = await encodeArtifact(value, { name, step }, codecs)
    if (encoded.size < PACKED) {
      // What has no name is never compared; a foreach of thousands then has the shorter references.
      const digest = this.options.label === undefined ? await digestOf(encoded.parts) : undefined
      if (before !== undefined && contentOf(before) === digest && before.codec === encoded.codec) {
        return { ref: Promise.resolve(before) }
      }
      if (this.#size + encoded.size > PACK) await this.finish()
      this.#size += encoded.size
      const ref = new Promise<ArtifactRef>((settle) => {
        this.#waiting.push({ encoded, digest, settle })
      })
      return { ref }
    }
    // Hashing alone is cheaper than writing it again, so it is tried where the size says that it may be the same.
    const like = before?.range === undefined && before?.size === encoded.size && before.codec === encoded.codec
    if (like && (await digestOf(encoded.parts)) === before.hash) return { ref: Promise.resolve(before) }
    const blob = await this.store.putBlob(iterate(encoded.parts), signal === undefined ? {} : { signal })
    return { ref: Promise.resolve({ ...blob, codec: encoded.codec, type: encoded.type }) }
  }

  /** Stores what waits for company. */
  async finish(): Promise<void> {
    const waiting = this.#waiting
    this.#waiting = []
    this.#size = 0
    if (waiting.length === 0) return
    const blob = await this.store.putBlob(Buffer.concat(waiting.flatMap(({ encoded }) => encoded.parts)))
    let offset = 0
    for (const { encoded, digest, settle } of waiting) {
      const { codec, type, size } = encoded
      const ref = { ...blob, codec, type }
      if (waiting.length === 1) settle(ref)
      else settle({ ...ref, range: [offset, size], ...(digest === undefined ? {} : { digest }) })
      offset += size
    }
  }
}

async function* iterate(parts: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* parts
}
