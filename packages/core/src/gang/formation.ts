import { promisify } from 'node:util'
import { deflateRaw, inflateRaw } from 'node:zlib'
import type { Formation } from './protocol.js'

/** Bytes of a formation, unpacked, beyond which it is none: some 100,000 members. */
const LIMIT = 64 << 20
/** Bytes below which packing gains nothing, and costs every member the loading of what unpacks. */
const SMALL = 8 << 10

/** What the first byte says of the rest. */
const PLAIN = 0
const DEFLATED = 1

/** The roster goes to every member: packed once, it is a tenth of its size and need not be written out N times. */
export async function packFormation(formation: Formation): Promise<Uint8Array> {
  const text = Buffer.from(JSON.stringify(formation))
  if (text.length < SMALL) return Buffer.concat([Buffer.of(PLAIN), text])
  return Buffer.concat([Buffer.of(DEFLATED), await promisify<Uint8Array, Buffer>(deflateRaw)(text)])
}

export async function unpackFormation(packed: Uint8Array): Promise<Formation> {
  const rest = packed.subarray(1)
  const text =
    packed[0] === PLAIN
      ? Buffer.from(rest)
      : await promisify<Uint8Array, object, Buffer>(inflateRaw)(rest, { maxOutputLength: LIMIT })
  return JSON.parse(text.toString('utf8')) as Formation
}
