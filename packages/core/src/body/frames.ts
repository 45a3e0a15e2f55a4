import { GangflowError } from '../errors/base.js'
import type { Message } from './protocol.js'

/** One message and the raw bytes that came with it (may be none). */
export interface Frame {
  readonly message: Message
  readonly payload: Uint8Array
}

export interface FrameLimits {
  /** Bytes of a header. Default 64 MiB. */
  readonly header: number
  /** Bytes of header and payload together. Default 256 MiB. */
  readonly total: number
}

export const defaultLimits: FrameLimits = { header: 64 << 20, total: 256 << 20 }
/** Until the hello: whoever it is has to be short. */
export const helloLimits: FrameLimits = { header: 16 << 10, total: 16 << 10 }

const nothing = new Uint8Array(0)
const types = new Set<string>(['hello', 'welcome', 'refused', 'call', 'reply', 'abort', 'event'])

function malformed(what: string): GangflowError {
  return new GangflowError({
    code: 'E_PROTOCOL_FRAME',
    what: `malformed frame: ${what}`,
    fix: 'see docs/reference/protocol.md; the connection was closed',
  })
}

/** The bytes of a frame: head and header in the first piece, the payload, uncopied, in the second. */
export function encodeFrame(message: Message, payload: Uint8Array = nothing, limits = defaultLimits): Uint8Array[] {
  const header = Buffer.from(JSON.stringify(message))
  const total = header.length + payload.length + 4
  if (header.length > limits.header || total > limits.total) {
    throw new GangflowError({
      code: 'E_PROTOCOL_FRAME',
      what: `a message of ${total} bytes is larger than the ${limits.total} that a frame may have`,
      fix: 'pass large values as a file or an artifact',
    })
  }
  const head = Buffer.allocUnsafe(8 + header.length)
  head.writeUInt32BE(total, 0)
  head.writeUInt32BE(header.length, 4)
  header.copy(head, 8)
  return payload.length === 0 ? [head] : [head, payload]
}

/** Takes bytes as they come and gives whole frames; throws `E_PROTOCOL_FRAME` at the first malformed one, then for ever. */
export class FrameReader {
  limits: FrameLimits
  readonly #chunks: Uint8Array[] = []
  #held = 0
  #broken: GangflowError | undefined

  constructor(limits: FrameLimits = defaultLimits) {
    this.limits = limits
  }

  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return
    this.#chunks.push(chunk)
    this.#held += chunk.length
  }

  /** The next whole frame, or undefined until more bytes come. */
  next(): Frame | undefined {
    if (this.#broken) throw this.#broken
    try {
      return this.#read()
    } catch (error) {
      this.#broken = error as GangflowError
      this.#chunks.length = 0
      throw error
    }
  }

  #read(): Frame | undefined {
    if (this.#held < 8) return undefined
    const head = this.#peek(8)
    const total = head.readUInt32BE(0)
    const headerLength = head.readUInt32BE(4)
    if (total > this.limits.total) throw malformed(`${total} bytes announced, ${this.limits.total} allowed`)
    if (headerLength > this.limits.header)
      throw malformed(`a header of ${headerLength} bytes announced, ${this.limits.header} allowed`)
    if (total < 4 || headerLength > total - 4)
      throw malformed(`a header of ${headerLength} bytes does not fit into a frame of ${total}`)
    if (this.#held < total + 4) return undefined
    const bytes = this.#take(total + 4)
    return {
      message: parseHeader(bytes.subarray(8, 8 + headerLength)),
      payload: bytes.subarray(8 + headerLength),
    }
  }

  #peek(count: number): Buffer {
    const first = this.#chunks[0]!
    if (first.length >= count) return Buffer.from(first.buffer, first.byteOffset, count)
    this.#chunks.splice(0, this.#chunks.length, Buffer.concat(this.#chunks))
    return this.#peek(count)
  }

  #take(count: number): Buffer {
    if (this.#chunks[0]!.length < count) this.#chunks.splice(0, this.#chunks.length, Buffer.concat(this.#chunks))
    const whole = this.#chunks[0]!
    if (whole.length === count) this.#chunks.shift()
    else this.#chunks[0] = whole.subarray(count)
    this.#held -= count
    return Buffer.from(whole.buffer, whole.byteOffset, count)
  }
}

function parseHeader(bytes: Uint8Array): Message {
  let message: unknown
  try {
    message = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    throw malformed('its header is no UTF-8 JSON')
  }
  const t = (message as { t?: unknown } | null)?.t
  if (typeof t !== 'string' || !types.has(t)) throw malformed(`its header has no known "t" (${JSON.stringify(t)})`)
  const id = (message as { id?: unknown }).id
  if ((t === 'call' || t === 'reply' || t === 'abort') && !Number.isSafeInteger(id))
    throw malformed(`a ${t} without a numeric id`)
  if (t === 'call' && typeof (message as { method?: unknown }).method !== 'string')
    throw malformed('a call without a method')
  if (t === 'event' && typeof (message as { event?: unknown }).event !== 'string')
    throw malformed('an event without a name')
  return message as Message
}
