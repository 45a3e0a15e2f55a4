import { GangflowError } from '../../errors/base.js'
import type { Json } from '../../flow/values.js'
import { strangeFrame } from './failures.js'

/**
 * What a client and a server of a relayed datastore say to each other, over any stream that is already trusted.
 *
 * A frame is: u32 big-endian length of the rest, u32 big-endian length of the header, the header as UTF-8 JSON (one
 * `RelayMessage`), then raw bytes (may be none). The client begins with `hello`, the server answers `welcome`; then the
 * client asks, many at once, each ask with an id of its own that only grows. Bytes of a transfer come in pieces, no more
 * of them than the receiver has given credit for.
 */
export const RELAY_PROTOCOL = 1
/** Bytes of one piece. */
export const PIECE = 256 << 10
/** Bytes of one transfer that may be under way. */
export const WINDOW = 2 << 20
/** Blobs up to this many bytes go with the ask itself. */
export const INLINE = 256 << 10

const HEADER_LIMIT = 64 << 20
const BYTES_LIMIT = 1 << 20

export type Op =
  | 'host'
  | 'put'
  | 'upload'
  | 'push'
  | 'download'
  | 'fetch'
  | 'has'
  | 'keep'
  | 'create'
  | 'replace'
  | 'read'
  | 'list'
  | 'children'
  | 'delete'
  | 'deleteAll'
  | 'deleteBlob'
  | 'blobs'
  | 'tidy'

export type Params = Readonly<Record<string, Json>>

export interface Ask {
  readonly t: 'ask'
  readonly id: number
  readonly op: Op
  readonly params: Params
  /** Everything below this id has been answered: the server may forget it. */
  readonly low: number
  /** The connection broke before an answer came; it may have been done. */
  readonly again?: true
}

export type RelayMessage =
  /** `session` names the client over all its connections; `resumed` is true from the second one on. */
  | { readonly t: 'hello'; readonly protocol: number; readonly session: string; readonly resumed: boolean }
  | { readonly t: 'welcome'; readonly protocol: number }
  | Ask
  | { readonly t: 'answer'; readonly id: number; readonly result?: Json; readonly error?: Json }
  | { readonly t: 'data'; readonly id: number }
  | { readonly t: 'end'; readonly id: number }
  /** `from`: the byte at which an upload goes on; what came over an earlier connection is not wanted again. */
  | { readonly t: 'credit'; readonly id: number; readonly bytes: number; readonly from?: number }
  /** It is still being worked on. */
  | { readonly t: 'tick'; readonly id: number }
  | { readonly t: 'abort'; readonly id: number }

export interface RelayFrame {
  readonly message: RelayMessage
  readonly bytes: Uint8Array
}

const nothing = new Uint8Array(0)

/** The bytes of a frame: head and header in the first piece, the raw bytes, uncopied, in the second. */
export function encodeRelay(message: RelayMessage, bytes: Uint8Array = nothing): Uint8Array[] {
  const header = Buffer.from(JSON.stringify(message))
  if (header.length > HEADER_LIMIT) {
    throw new GangflowError({
      code: 'E_DATASTORE_PROTOCOL',
      what: `a record of ${header.length} bytes is larger than the ${HEADER_LIMIT} that the relay carries`,
      fix: 'store large values as an artifact or a file',
    })
  }
  const head = Buffer.allocUnsafe(8 + header.length)
  head.writeUInt32BE(4 + header.length + bytes.length, 0)
  head.writeUInt32BE(header.length, 4)
  header.copy(head, 8)
  return bytes.length === 0 ? [head] : [head, bytes]
}

/** Takes bytes as they come and gives whole frames; throws `E_DATASTORE_PROTOCOL` at the first malformed one. */
export class RelayReader {
  #chunks: Uint8Array[] = []
  #held = 0

  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return
    this.#chunks.push(chunk)
    this.#held += chunk.length
  }

  /** The next whole frame, or undefined until more bytes come. */
  next(): RelayFrame | undefined {
    if (this.#held < 8) return undefined
    const head = this.#front(8)
    const length = head.readUInt32BE(0)
    const header = head.readUInt32BE(4)
    if (header > HEADER_LIMIT || length < header + 4 || length > header + 4 + BYTES_LIMIT) {
      throw strangeFrame(`${length} bytes announced, ${header} of them a header`)
    }
    if (this.#held < length + 4) return undefined
    const whole = this.#front(length + 4)
    const rest = this.#chunks[0]!.subarray(length + 4)
    if (rest.length === 0) this.#chunks.shift()
    else this.#chunks[0] = rest
    this.#held -= length + 4
    return { message: parse(whole.subarray(8, 8 + header)), bytes: whole.subarray(8 + header) }
  }

  /** The first bytes in one piece. */
  #front(count: number): Buffer {
    if (this.#chunks[0]!.length < count) this.#chunks = [Buffer.concat(this.#chunks, this.#held)]
    const first = this.#chunks[0]!
    return Buffer.from(first.buffer, first.byteOffset, count)
  }
}

const kinds = new Set(['hello', 'welcome', 'ask', 'answer', 'data', 'end', 'credit', 'tick', 'abort'])

function parse(bytes: Buffer): RelayMessage {
  let message: { readonly t?: unknown; readonly id?: unknown; readonly params?: unknown } | null
  try {
    message = JSON.parse(bytes.toString('utf8'))
  } catch {
    throw strangeFrame('its header is no JSON')
  }
  if (!kinds.has(String(message?.t))) throw strangeFrame(`its header has no known "t" (${String(message?.t)})`)
  const { t, id, params } = message!
  if (t !== 'hello' && t !== 'welcome' && !Number.isSafeInteger(id))
    throw strangeFrame(`a '${String(t)}' without an id`)
  if (t === 'ask' && (typeof params !== 'object' || params === null)) throw strangeFrame('an ask without params')
  return message as RelayMessage
}
