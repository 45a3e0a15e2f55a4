import { Duplex, Writable } from 'node:stream'
import type { Channel } from 'ssh2'

/** Of ssh2's channel, what its types leave out. */
interface WholeChannel extends Channel {
  eof(): void
  _chunk: unknown
  _chunkcb: unknown
  _chunkErr: unknown
  _chunkcbErr: unknown
}

/**
 * A channel as an ordinary stream. ssh2's own closes both directions when the server ends one, never settles a write
 * that the other side's close overtook, and does not destroy itself.
 */
export class ChannelStream extends Duplex {
  readonly #channel: WholeChannel
  /** Of the write that waits for the other side's window. */
  #waiting: (() => void) | undefined
  readonly #turns: (() => void)[] = []
  #gone = false

  /** @param keepStderr its own holder reads what comes on stderr. */
  constructor(channel: Channel, keepStderr = false) {
    super({ allowHalfOpen: true, readableHighWaterMark: 256 << 10, writableHighWaterMark: 256 << 10 })
    this.#channel = channel as WholeChannel
    // Nobody reads it here, and unread it holds up the close.
    if (!keepStderr && 'resume' in channel.stderr) channel.stderr.resume()
    channel.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) channel.pause()
    })
    channel.once('end', () => {
      this.push(null)
      if (this.readableLength === 0) this.read(0)
    })
    channel.once('close', () => this.#closed())
    channel.on('error', () => this.#closed())
  }

  override _read(): void {
    this.#channel.resume()
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.#send((sent) => void this.#channel.write(chunk, sent), done)
  }

  /** The standard error of a server's channel. */
  errors(): Writable {
    const { stderr } = this.#channel as unknown as { stderr: Writable }
    stderr.on('error', () => {})
    return new Writable({
      write: (chunk: Buffer, _encoding, done) => this.#send((sent) => void stderr.write(chunk, sent), done),
    })
  }

  /**
   * One write at a time, of output or of errors: where both wait for the other side's window, ssh2 goes on with one
   * alone, and with what it had sent already.
   */
  #send(write: (sent: () => void) => void, done: () => void): void {
    const go = () => {
      const sent = () => {
        if (this.#waiting !== sent) return
        this.#waiting = undefined
        const channel = this.#channel
        channel._chunk = channel._chunkcb = channel._chunkErr = channel._chunkcbErr = undefined
        // Who waits goes first: a flood of the one must not keep the other back.
        this.#turns.shift()?.()
        done()
      }
      this.#waiting = sent
      // To who has closed already: lost, as with any shell; what it said before is still to be read here.
      if (this.#gone) sent()
      else write(sent)
    }
    if (this.#waiting) this.#turns.push(go)
    else go()
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#channel.eof()
    done()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    // What has not come yet is wanted by nobody, but must not hold up the close.
    this.#channel.resume()
    this.#channel.close()
    done(error)
  }

  /** The other side has closed: what came before is still read, then this stream ends too. */
  #closed(): void {
    if (this.#gone) return
    this.#gone = true
    this.#waiting?.()
    if (this.readableEnded || this.destroyed) return void this.destroy()
    this.once('end', () => this.destroy())
    this.push(null)
    if (this.readableLength === 0) this.read(0)
  }
}
