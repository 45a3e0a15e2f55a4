import type { Duplex } from 'node:stream'
import { encodeRelay, type RelayFrame, type RelayMessage, RelayReader } from './wire.js'

/** Bytes of asks that wait for the store, before their client has to wait too. */
const HELD = 16 << 20

/** Frames over a stream, either side. What was received before the end is given before the end is told. */
export class RelayConnection {
  readonly #stream: Duplex
  readonly #reader = new RelayReader()
  readonly #take: (frame: RelayFrame) => void
  readonly #ended: (error: unknown) => void
  readonly #heard: () => void
  #over = false
  /** Bytes that came with asks which are still worked on. */
  #held = 0

  /** `heard` is told of every byte that comes. */
  constructor(
    stream: Duplex,
    take: (frame: RelayFrame) => void,
    ended: (error: unknown) => void,
    heard: () => void = () => {},
  ) {
    this.#stream = stream
    this.#take = take
    this.#ended = ended
    this.#heard = heard
    stream.on('error', (error) => this.close(error))
    stream.on('end', () => this.close())
    stream.on('close', () => this.close())
    stream.on('data', (chunk: Uint8Array) => this.#receive(chunk))
  }

  get isOver(): boolean {
    return this.#over
  }

  send(message: RelayMessage, bytes?: Uint8Array): void {
    if (this.#over) return
    const pieces = encodeRelay(message, bytes)
    if (pieces.length > 1) this.#stream.cork()
    for (const piece of pieces) this.#stream.write(piece)
    if (pieces.length > 1) this.#stream.uncork()
  }

  /**
   * Bytes that are held for this connection's sake, more or fewer: nothing further is taken from it while they are many.
   */
  hold(bytes: number): void {
    this.#held += bytes
    if (this.#held > HELD) this.#stream.pause()
    else if (this.#stream.isPaused()) this.#stream.resume()
  }

  /** Whether the connection alone keeps this process alive. */
  keepAlive(on: boolean): void {
    const socket = this.#stream as Duplex & { ref?(): void; unref?(): void }
    if (on) socket.ref?.()
    else socket.unref?.()
  }

  /** Ends it at once: whatever was not answered is asked again, or not wanted any more. */
  close(error?: unknown): void {
    if (this.#over) return
    this.#over = true
    this.#stream.destroy()
    this.#ended(error)
  }

  #receive(chunk: Uint8Array): void {
    if (this.#over) return
    this.#heard()
    try {
      this.#reader.push(chunk)
      for (let frame = this.#reader.next(); frame && !this.#over; frame = this.#reader.next()) this.#take(frame)
    } catch (error) {
      this.close(error)
    }
  }
}
