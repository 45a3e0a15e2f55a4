import { createHmac, hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto'
import type { AttemptAddress } from '../datastore/records.js'

/** Bytes of a gang's secret. */
export const SECRET_BYTES = 32

/** A new secret: for one attempt only (D2). */
export const drawSecret = (): Uint8Array => randomBytes(SECRET_BYTES)

/** 32 bytes for a label, the same on every member of the attempt and of no other. */
export function deriveKey(secret: Uint8Array, address: AttemptAddress, label: string): Uint8Array {
  const salt = [address.flow, address.run, address.step, address.task, address.attempt].join('/')
  return new Uint8Array(hkdfSync('sha256', secret, salt, `gangflow/1/${label}`, 32))
}

/** A keyed digest of parts; each part's length is covered, so that no two lists of parts look alike. */
export function sign(key: Uint8Array, ...parts: readonly string[]): string {
  const hmac = createHmac('sha256', key)
  for (const part of parts) {
    const bytes = Buffer.from(part)
    const length = Buffer.alloc(4)
    length.writeUInt32BE(bytes.length)
    hmac.update(length).update(bytes)
  }
  return hmac.digest('base64')
}

/** Compares in constant time. */
export function sameDigest(expected: string, given: unknown): boolean {
  if (typeof given !== 'string') return false
  const a = Buffer.from(expected)
  const b = Buffer.from(given)
  return a.length === b.length && timingSafeEqual(a, b)
}
