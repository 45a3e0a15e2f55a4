import type { Socket } from 'node:net'
import { type CallShape, HEADER_BYTES, writeHeader } from '../shape.js'
import type { View } from './view.js'

/** The connection on which this rank's data goes to another. What is written stays in place until it has gone. */
export class OutLink {
  private flushed: (() => void) | undefined
  private readonly header = Buffer.alloc(HEADER_BYTES)
  private readonly headerView = new DataView(this.header.buffer, this.header.byteOffset, HEADER_BYTES)

  constructor(
    readonly to: number,
    readonly socket: Socket,
    private readonly view: View,
    /** Place for a header and a small message. */
    private readonly space: number,
  ) {
    // What a rank that is gone did not read is not waited for.
    socket.on('error', () => socket.destroy())
    socket.once('close', this.written)
    socket.resume()
  }

  /** A header, then bytes as they lie in the shared memory. */
  begin(sequence: number, shape: CallShape, at: number, bytes: number): void {
    writeHeader(this.headerView, 0, sequence, shape)
    this.socket.cork()
    // A copy: the same 32 bytes serve the next call while these may still be on their way.
    this.socket.write(Buffer.from(this.header), this.written)
    if (bytes > 0) this.write(at, bytes)
    this.socket.uncork()
  }

  write(at: number, bytes: number): void {
    this.socket.write(this.view.buffer(at, bytes), this.written)
  }

  /** A header and a copy of the bytes, in one write. */
  small(sequence: number, shape: CallShape, at: number, bytes: number): void {
    const all = this.view.bytes(this.space, HEADER_BYTES + bytes)
    writeHeader(new DataView(all.buffer, all.byteOffset, HEADER_BYTES), 0, sequence, shape)
    if (bytes > 0) all.set(this.view.bytes(at, bytes), HEADER_BYTES)
    this.write(this.space, HEADER_BYTES + bytes)
  }

  get idle(): boolean {
    return this.socket.destroyed || this.socket.writableLength === 0
  }

  /** Once, as soon as nothing is waiting to be written. */
  whenIdle(then: () => void): void {
    this.flushed = then
  }

  private readonly written = (): void => {
    if (!this.flushed || !this.idle) return
    const then = this.flushed
    this.flushed = undefined
    then()
  }
}
