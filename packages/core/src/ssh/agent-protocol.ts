import type { Duplex } from 'node:stream'
import { type SshKey, text } from './keys.js'

/** Messages of the agent's protocol (draft-miller-ssh-agent) that are answered; anything else is a failure. */
const LIST = 11
const LISTED = 12
const SIGN = 13
const SIGNED = 14
const FAILURE = 5
/** Bytes that a request may have. */
const MOST = 1 << 20

/** An ssh-agent with one key, in memory: for programs that must have OpenSSH. ssh2's own refuses OpenSSH's clients. */
export function serveAgent(stream: Duplex, key: SshKey): void {
  let held = Buffer.alloc(0)
  stream.on('error', () => stream.destroy())
  stream.on('data', (chunk: Buffer) => {
    held = Buffer.concat([held, chunk])
    while (held.length >= 4) {
      const length = held.readUInt32BE()
      if (length === 0 || length > MOST) return void stream.destroy()
      if (held.length < 4 + length) return
      stream.write(text(answer(held.subarray(4, 4 + length), key)))
      held = held.subarray(4 + length)
    }
  })
}

function answer(request: Buffer, key: SshKey): Buffer {
  if (request[0] === LIST) {
    return Buffer.concat([Buffer.from([LISTED, 0, 0, 0, 1]), text(key.blob), text('gang')])
  }
  if (request[0] === SIGN) {
    const blob = stringAt(request, 1)
    const data = blob && stringAt(request, 5 + blob.length)
    if (blob?.equals(key.blob) && data)
      return Buffer.concat([Buffer.from([SIGNED]), text(Buffer.concat([text('ssh-ed25519'), text(key.sign(data))]))])
  }
  return Buffer.from([FAILURE])
}

function stringAt(bytes: Buffer, at: number): Buffer | undefined {
  if (at + 4 > bytes.length) return undefined
  const length = bytes.readUInt32BE(at)
  return at + 4 + length > bytes.length ? undefined : bytes.subarray(at + 4, at + 4 + length)
}
