import ssh2, { type ParsedKey } from 'ssh2'
import type { SshKey } from './keys.js'

const parsed = new WeakMap<SshKey, ParsedKey>()

/**
 * A key as ssh2 has it, read once. It signs by a key that the system holds: ssh2 would read its text for each
 * signature, which takes ten times as long as signing.
 */
export function parsedKey(key: SshKey): ParsedKey {
  const known = parsed.get(key)
  if (known) return known
  const read = ssh2.utils.parseKey(key.privateKey)
  // An own key that cannot be read is a fault of `keys.ts`.
  if (read instanceof Error) throw read
  const one = Array.isArray(read) ? (read[0] as ParsedKey) : read
  one.sign = (data) => key.sign(Buffer.from(data as Uint8Array))
  parsed.set(key, one)
  return one
}
