import type { Socket } from 'node:net'
import { type CallShape, HEADER_BYTES, readHeader } from '../shape.js'
import type { LinkSpace } from './protocol.js'
import { READ_BYTES, type Stream } from './stream.js'
import type { View } from './view.js'

export interface Header {
  readonly sequence: number
  readonly shape: CallShape
}

/** What a connection asks of the engine. */
export interface InLinkOwner {
  /** A rank's bytes of a call begin: what takes them; `hold` until the call is made here; `stop`: all is over. */
  arrived(link: InLink, header: Header): Stream | 'hold' | 'stop'
  /** All bytes of a call have come on this connection. */
  streamDone(link: InLink): void
  garbled(link: InLink): void
  /** No more bytes come. */
  linkEnded(link: InLink): void
  /** Bytes of a call that is not made here yet. */
  expected(header: Header): number
}

/** The connection on which data comes from another rank. This side dials it: only so can Node read into a given place. */
export class InLink {
  socket: Socket | undefined
  ended = false
  /** The last call of which all bytes have come. */
  complete = 0
  /** Bytes that have come. */
  received = 0
  private stream: Stream | undefined
  private sequence = 0
  private readonly header = Buffer.alloc(HEADER_BYTES)
  private filled = 0
  private held: Header | undefined
  /** What came behind a header that is held. */
  private stash: Uint8Array[] = []
  private draining = false
  private readonly scratch: Uint8Array<SharedArrayBuffer>

  constructor(
    readonly from: number,
    private readonly space: LinkSpace,
    private readonly view: View,
    private readonly owner: InLinkOwner,
  ) {
    this.scratch = view.bytes(space.scratch, READ_BYTES)
  }

  /** Where the next read goes: never an empty place, which would stop libuv's reading for good. */
  room(): Uint8Array<SharedArrayBuffer> {
    return this.stream?.room() ?? this.scratch
  }

  /** Bytes have been read into what `room` gave. False: read no more for now. */
  read(count: number, into: Uint8Array): boolean {
    this.received += count
    if (this.held) this.stash.push(into.slice(0, count))
    else this.consume(into.byteOffset, count)
    return !this.held || this.draining
  }

  /** The call is made here now: what was held is worked in. */
  release(sequence: number): void {
    if (this.held?.sequence !== sequence) return
    const [header, stash] = [this.held, this.stash]
    this.held = undefined
    this.stash = []
    if (!this.begin(header)) return
    for (const piece of stash) {
      if (this.held) this.stash.push(piece)
      else {
        this.scratch.set(piece)
        this.consume(this.space.scratch, piece.length)
      }
    }
    if (!this.held) this.socket?.resume()
  }

  /** The other rank is gone: what it still has sent is taken in, so that it is known what it had done. */
  drain(): void {
    this.draining = true
    if (this.held) this.socket?.resume()
  }

  /** The header of a call that is not made here yet. */
  get ahead(): Header | undefined {
    return this.held
  }

  end(): void {
    if (this.ended) return
    this.ended = true
    if (this.held && this.stash.reduce((sum, { length }) => sum + length, 0) >= this.owner.expected(this.held))
      this.complete = this.held.sequence
    this.owner.linkEnded(this)
  }

  private begin(header: Header): boolean {
    const stream = this.owner.arrived(this, header)
    if (stream === 'stop') return false
    if (stream === 'hold') {
      this.held = header
      return false
    }
    this.sequence = header.sequence
    this.stream = stream
    if (stream.remaining === 0) this.finish()
    return true
  }

  private finish(): void {
    this.stream = undefined
    this.complete = this.sequence
    this.owner.streamDone(this)
  }

  private consume(at: number, count: number): void {
    const end = at + count
    while (at < end) {
      if (this.stream) {
        at += this.stream.take(at, end - at)
        if (this.stream.remaining === 0) this.finish()
        continue
      }
      const part = Math.min(HEADER_BYTES - this.filled, end - at)
      this.header.set(this.view.bytes(at, part), this.filled)
      this.filled += part
      at += part
      if (this.filled < HEADER_BYTES) return
      this.filled = 0
      const header = readHeader(this.header)
      if (!header) this.owner.garbled(this)
      else if (this.begin(header)) continue
      if (this.held && at < end) this.stash.push(this.view.bytes(at, end - at).slice())
      return
    }
  }
}
