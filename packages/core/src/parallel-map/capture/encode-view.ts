import type { Node } from '../protocol.js'
import type { partsOf } from '../views.js'
import { refuse } from './refuse.js'

/** A captured view: of shared memory as it is; else what it shows is copied once, for threads into shared memory. */
export function encodeView(
  value: object,
  parts: NonNullable<ReturnType<typeof partsOf>>,
  path: string,
  isolation: 'thread' | 'process',
  name: string,
): Node {
  const { type, buffer, at, length } = parts
  const kind = Buffer.isBuffer(value) ? 'Buffer' : type
  if (buffer instanceof SharedArrayBuffer) {
    if (isolation === 'process') refuseSharing(path, name)
    return { k: 'view', type: kind, buffer, at, length }
  }
  const bytes = (value as ArrayBufferView).byteLength
  const copy = isolation === 'process' ? new ArrayBuffer(bytes) : new SharedArrayBuffer(bytes)
  copyBytes(buffer, at, copy)
  return { k: 'view', type: kind, buffer: copy, at: 0, length }
}

export function refuseSharing(path: string, name: string): never {
  refuse(
    name,
    path,
    'threads share it, and processes do not',
    "use isolation: 'thread', a plain typed array, or compile it in `init`",
  )
}

/** In pieces: no view of bytes may be longer than 4 GiB. */
function copyBytes(from: ArrayBufferLike, at: number, to: ArrayBufferLike): void {
  const piece = 2 ** 30
  for (let done = 0; done < to.byteLength; done += piece) {
    const length = Math.min(piece, to.byteLength - done)
    new Uint8Array(to, done, length).set(new Uint8Array(from, at + done, length))
  }
}
