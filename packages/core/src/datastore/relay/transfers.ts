import { PIECE, WINDOW } from './wire.js'

/** Tells the client that it may send; `from`: where it begins, or goes on after a broken connection. */
type Credit = (bytes: number, from?: number) => void

/**
 * The server's side of bytes that come in: taken by one reader, which thereby gives credit for more. It outlives the
 * connection: over the next one it goes on where it was.
 */
export class Upload {
  readonly #signal: AbortSignal
  #credit: Credit = () => {}
  #pieces: Uint8Array[] = []
  #held = 0
  #received = 0
  #reading = false
  #whole = false
  #wake = () => {}

  constructor(signal: AbortSignal) {
    this.#signal = signal
    signal.addEventListener('abort', () => this.#wake(), { once: true })
  }

  /** Who is told of credit from now on. */
  attach(credit: Credit): void {
    this.#credit = credit
    if (this.#reading) credit(WINDOW - this.#held, this.#received)
  }

  push(piece: Uint8Array): void {
    this.#pieces.push(piece)
    this.#held += piece.length
    this.#received += piece.length
    this.#wake()
  }

  end(): void {
    this.#whole = true
    this.#wake()
  }

  /** Rejects with the signal's reason when the rest will not come. `waiting` is told whether the client is waited for. */
  async *read(waiting: (on: boolean) => void): AsyncGenerator<Uint8Array> {
    this.#reading = true
    this.#credit(WINDOW, 0)
    for (;;) {
      this.#signal.throwIfAborted()
      const piece = this.#pieces.shift()
      if (piece) {
        yield piece
        this.#held -= piece.length
        this.#credit(piece.length)
      } else if (this.#whole) {
        return
      } else {
        waiting(true)
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
        waiting(false)
      }
    }
  }
}

/** The server's side of bytes that go out: no more than the client has given credit for. */
export class Download {
  readonly #send: (piece: Uint8Array) => void
  readonly #signal: AbortSignal
  #credit = WINDOW
  #wake = () => {}

  constructor(send: (piece: Uint8Array) => void, signal: AbortSignal) {
    this.#send = send
    this.#signal = signal
    signal.addEventListener('abort', () => this.#wake(), { once: true })
  }

  grant(bytes: number): void {
    this.#credit += bytes
    this.#wake()
  }

  /** Settles when these bytes are on their way. */
  async write(part: Uint8Array, waiting: (on: boolean) => void): Promise<void> {
    for (let from = 0; from < part.length; from += PIECE) {
      while (this.#credit <= 0) {
        this.#signal.throwIfAborted()
        waiting(true)
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
        waiting(false)
      }
      this.#signal.throwIfAborted()
      const piece = part.subarray(from, from + PIECE)
      this.#credit -= piece.length
      this.#send(piece)
    }
  }
}
