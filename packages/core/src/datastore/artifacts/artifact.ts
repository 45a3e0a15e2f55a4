import { setImmediate as turn } from 'node:timers/promises'
import { GangflowError } from '../../errors/base.js'
import type { ArtifactCodec } from '../../flow/values.js'
import type { BlobReader } from '../contract.js'
import { Sha256 } from '../sha256.js'
import { wordFor } from './classify.js'
import { codecNamed, decodeCbor } from './decode.js'
import { encodeCbor } from './encode.js'
import type { Subject } from './refuse.js'
import { type Survey, survey } from './survey.js'

/** An artifact's bytes, in parts that may be the value's own memory: write them before the value changes. */
export interface EncodedArtifact {
  readonly parts: readonly Uint8Array[]
  /** Bytes in all. */
  readonly size: number
  /** `cbor`, or the codec of a value that a plugin saves as a whole. */
  readonly codec: string
  readonly type: string
}

const CBOR = 'cbor'
const none: Survey = { shared: new Set(), coded: new Map() }

/**
 * A value as it is stored. Codecs are asked for what core cannot save itself, at any depth.
 * Throws E_ARTIFACT_UNSUPPORTED naming artifact, step and the path inside it; E_ARTIFACT_CODEC when a codec fails.
 */
export async function encodeArtifact(
  value: unknown,
  subject: Subject,
  codecs: readonly ArtifactCodec[] = [],
): Promise<EncodedArtifact> {
  const found = isAtom(value) ? none : survey(value, subject, codecs)
  const type = wordFor(value)
  const whole = found.coded.get(value)
  const coded = new Map<unknown, Uint8Array>()
  for (const [item, codec] of found.coded) coded.set(item, await encodeBy(codec, item, subject))
  if (whole !== undefined) {
    const bytes = coded.get(value)!
    return { parts: [bytes], size: bytes.length, codec: whole.name, type }
  }
  const parts = encodeCbor(value, found, coded)
  return { parts, size: parts.reduce((sum, part) => sum + part.length, 0), codec: CBOR, type }
}

/** The value of an artifact's bytes. Throws E_ARTIFACT_CODEC, or a RangeError or TypeError for bytes that are none. */
export function decodeArtifact(
  source: Uint8Array | BlobReader,
  codec: string = CBOR,
  codecs: readonly ArtifactCodec[] = [],
): unknown {
  if (codec === CBOR) return decodeCbor(source, codecs)
  const named = codecNamed(codec, codecs)
  if (source instanceof Uint8Array) return named.decode(source)
  const bytes = Buffer.allocUnsafeSlow(source.size)
  source.readSync(bytes)
  return named.decode(bytes)
}

/** SHA-256 in hex. Large data gives the event loop a turn now and then. */
export async function digestOf(parts: readonly Uint8Array[]): Promise<string> {
  const sum = new Sha256()
  let since = 0
  for (const part of parts) {
    for (let offset = 0; offset < part.length; offset += 4 << 20) {
      const piece = part.subarray(offset, offset + (4 << 20))
      sum.update(piece)
      since += piece.length
      if (since < 16 << 20) continue
      since = 0
      await turn()
    }
  }
  return sum.digest()
}

const isAtom = (value: unknown): boolean =>
  value === null || !(typeof value === 'object' || typeof value === 'function' || typeof value === 'symbol')

async function encodeBy(codec: ArtifactCodec, value: unknown, { name, step }: Subject): Promise<Uint8Array> {
  const of = step === undefined ? '' : ` of step '${step}'`
  let bytes: unknown
  try {
    bytes = await codec.encode(value)
  } catch (error) {
    throw new GangflowError(
      {
        code: 'E_ARTIFACT_CODEC',
        what: `the codec '${codec.name}' could not save artifact '${name}'${of}`,
        fix: 'see the cause; it is the plugin’s own',
        step,
        details: { artifact: name, codec: codec.name },
      },
      { cause: error },
    )
  }
  if (bytes instanceof Uint8Array) return bytes
  throw new GangflowError({
    code: 'E_ARTIFACT_CODEC',
    what: `the codec '${codec.name}' gave no Uint8Array for artifact '${name}'${of}`,
    fix: 'its `encode` has to return the bytes, or a promise of them',
    step,
    details: { artifact: name, codec: codec.name },
  })
}
