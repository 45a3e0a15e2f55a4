import { randomBytes } from 'node:crypto'
import { readSync, writeSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import type { Json } from '../../flow/values.js'
import { errorFromWire, noAnswer, relayLost } from './failures.js'
import { encodeRelay, type Op, type Params, RELAY_PROTOCOL, type RelayMessage, RelayReader } from './wire.js'

/** Milliseconds between looks, growing: an answer out of memory takes a tenth of one. */
const LOOK_MS = { first: 0.02, factor: 1.25, most: 4 }
const PIECE = 64 << 10

type Handled = Socket & { _handle?: { readonly fd?: number } | null }

/**
 * Asks one thing after the other and waits for each without giving the event loop a turn: for lazy artifacts, whose
 * reading cannot be awaited. A socket of its own, used by its descriptor: costs nothing until it is needed, no thread
 * then (measured: 0.16 ms an ask). Who answers has to be another process.
 */
export class SyncLink {
  readonly #path: string
  readonly #name: string
  readonly #silenceMs: number
  readonly #cell = new Int32Array(new SharedArrayBuffer(4))
  readonly #buffer = Buffer.allocUnsafeSlow(PIECE)
  #socket: Socket | undefined
  #file = -1
  #reader = new RelayReader()
  #lastId = 0

  constructor(path: string, name: string, silenceMs: number) {
    this.#path = path
    this.#name = name
    this.#silenceMs = silenceMs
  }

  /** Throws what the other side says, E_DATASTORE_TIMEOUT or E_DATASTORE_LOST. */
  ask<R = Json | undefined>(doing: string, op: Op, params: Params): R {
    try {
      if (this.#socket === undefined) this.#open(doing)
      const id = ++this.#lastId
      this.#write({ t: 'ask', id, op, params, low: id }, doing)
      for (;;) {
        const message = this.#read(doing)
        if (message.t !== 'answer' || message.id !== id) continue
        if (message.error !== undefined) throw errorFromWire(message.error)
        return message.result as R
      }
    } catch (error) {
      // An errno: the connection is of no use any more.
      if ((error as NodeJS.ErrnoException).syscall === undefined) throw error
      this.close()
      throw relayLost(this.#name, doing, 'has ended', error)
    }
  }

  close(): void {
    this.#socket?.destroy()
    this.#socket = undefined
    this.#reader = new RelayReader()
  }

  #open(doing: string): void {
    const socket = connect(this.#path) as Handled
    socket.on('error', () => {})
    // Nobody but this class reads from it.
    socket.pause()
    socket.unref()
    this.#socket = socket
    this.#file = socket._handle?.fd ?? -1
    const session = randomBytes(12).toString('hex')
    this.#write({ t: 'hello', protocol: RELAY_PROTOCOL, session, resumed: false }, doing)
  }

  #write(message: RelayMessage, doing: string): void {
    for (const piece of encodeRelay(message)) {
      for (let at = 0; at < piece.length; ) {
        at += this.#retried(doing, () => writeSync(this.#file, piece, at, piece.length - at))
      }
    }
  }

  #read(doing: string): RelayMessage {
    for (;;) {
      const frame = this.#reader.next()
      if (frame) return frame.message
      const count = this.#retried(doing, () => readSync(this.#file, this.#buffer, 0, PIECE, null))
      if (count === 0) throw Object.assign(new Error('the connection ended'), { syscall: 'read' })
      this.#reader.push(Buffer.from(this.#buffer.subarray(0, count)))
    }
  }

  #retried(doing: string, call: () => number): number {
    let pause = LOOK_MS.first
    for (let waited = 0; ; ) {
      try {
        return call()
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
      }
      // Counted in time asleep, so that having been stopped is no time.
      if (waited > this.#silenceMs) throw this.#late(doing)
      Atomics.wait(this.#cell, 0, 0, pause)
      waited += pause
      pause = Math.min(pause * LOOK_MS.factor, LOOK_MS.most)
    }
  }

  /** What comes later belongs to nobody: the next ask has a connection of its own. */
  #late(doing: string): unknown {
    this.close()
    return noAnswer(this.#name, doing, this.#silenceMs)
  }
}
