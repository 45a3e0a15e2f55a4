import { promisify } from 'node:util'
import { deflateRaw, inflateRaw } from 'node:zlib'
import type { Formation } from './protocol.js'

/** Bytes of a formation, unpacked, beyond which it is none: some 100,000 members. */
const LIMIT = 64 << 20

/** The roster goes to every member: packed once, it is a tenth of its size and need not be written out N times. */
export const packFormation = (formation: Formation): Promise<Uint8Array> =>
  promisify<string, Uint8Array>(deflateRaw)(JSON.stringify(formation))

export async function unpackFormation(packed: Uint8Array): Promise<Formation> {
  const text = await promisify<Uint8Array, object, Buffer>(inflateRaw)(packed, { maxOutputLength: LIMIT })
  return JSON.parse(text.toString('utf8')) as Formation
}
