import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto'
import type { DeriveKey } from './contract.js'

/** An ed25519 key as OpenSSH has it. */
export interface SshKey {
  /** The public key's blob on the wire. */
  readonly blob: Buffer
  /** `ssh-ed25519 AAAA…`, as in known_hosts and authorized_keys. */
  readonly line: string
  /** The private key in OpenSSH's own container, without a passphrase. */
  readonly privateKey: string
  /** The 64 bytes of an ed25519 signature. */
  sign(data: Uint8Array): Buffer
  verify(data: Uint8Array, signature: Uint8Array): boolean
}

const TYPE = 'ssh-ed25519'
/** PKCS #8 of an ed25519 key is this and the seed (RFC 8410). */
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex')

/** The key with which every member of the gang makes itself known. */
export const clientKey = (derive: DeriveKey): SshKey => keyOfSeed(derive('ssh/client'), 'gang')

/** The key by which a member is known: of its id, so that it holds over epochs. */
export const hostKey = (derive: DeriveKey, memberId: string): SshKey =>
  keyOfSeed(derive(`ssh/host/${memberId}`), memberId)

/** The key of 32 bytes, always the same. Our own encoder: the generator of ssh2 strips leading zeros (ssh2 #1390). */
export function keyOfSeed(seed: Uint8Array, comment: string): SshKey {
  const secret: KeyObject = createPrivateKey({ key: Buffer.concat([PKCS8, seed]), format: 'der', type: 'pkcs8' })
  const shown = createPublicKey(secret)
  const raw = Buffer.from(shown.export({ format: 'jwk' }).x!, 'base64url')
  const blob = Buffer.concat([text(TYPE), text(raw)])
  return {
    blob,
    line: `${TYPE} ${blob.toString('base64')}`,
    privateKey: container(blob, raw, seed, comment),
    sign: (data) => sign(null, data, secret),
    verify: (data, signature) => verify(null, data, shown, signature),
  }
}

/** `openssh-key-v1` (PROTOCOL.key of OpenSSH): one key, no cipher; the check numbers need not be random then. */
function container(blob: Buffer, raw: Buffer, seed: Uint8Array, comment: string): string {
  const check = blob.subarray(-4)
  const parts = [check, check, text(TYPE), text(raw), text(Buffer.concat([seed, raw])), text(comment)]
  const length = parts.reduce((sum, part) => sum + part.length, 0)
  const padding = Buffer.from(Array.from({ length: (8 - (length % 8)) % 8 }, (_, index) => index + 1))
  const whole = Buffer.concat([
    Buffer.from('openssh-key-v1\0'),
    text('none'),
    text('none'),
    text(''),
    number(1),
    text(blob),
    text(Buffer.concat([...parts, padding])),
  ])
  const lines = whole.toString('base64').match(/.{1,70}/g)!
  return ['-----BEGIN OPENSSH PRIVATE KEY-----', ...lines, '-----END OPENSSH PRIVATE KEY-----', ''].join('\n')
}

/** A string as SSH has it: its length and its bytes. */
export function text(value: string | Uint8Array): Buffer {
  const bytes = Buffer.from(value as Uint8Array)
  return Buffer.concat([number(bytes.length), bytes])
}

function number(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}
