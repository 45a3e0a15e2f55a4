import { randomBytes } from 'node:crypto'
import type { Duplex } from 'node:stream'
import type { Json } from '../../flow/values.js'
import { Patience, type Wait } from '../patience.js'
import { type Pending, pump, type Request } from './asked.js'
import { RelayConnection } from './connection.js'
import { errorFromWire, noAnswer, otherProtocol, relayLost } from './failures.js'
import { RELAY_PROTOCOL, type RelayFrame } from './wire.js'

/** Milliseconds that one dialling and greeting may take. */
const DIAL_MS = 15_000
/** Four signs of the server that did not come. */
const LULL_MS = 20_000
/** Milliseconds before the next try. */
const AGAIN_MS = { first: 50, most: 1000 }

export interface LinkOptions {
  /** Dials the other side; called again when the connection broke. */
  dial(signal: AbortSignal): Promise<Duplex>
  /** Who serves, in words: `the datastore's owner`. */
  readonly name: string
  /** Milliseconds without any sign about a request, the time without a connection included, until it fails. */
  readonly silenceMs: number
  /** Milliseconds without a byte, while something is asked, until another connection is tried. Default 20 s. */
  readonly lullMs?: number | undefined
  /** True for an error of `dial` that trying again will not mend. Default: none is. */
  final?(error: unknown): boolean
}

/**
 * A client's end of the relay: asks many things at once over one connection, and over the next one when that broke.
 * Everything that is asked may be asked twice (server.ts sees to it). Fails with E_DATASTORE_TIMEOUT or _LOST.
 */
export class RelayLink {
  readonly #options: LinkOptions
  readonly #session = randomBytes(12).toString('hex')
  readonly #pending = new Map<number, Pending>()
  readonly #patience: Patience
  #lastId = 0
  #connection: RelayConnection | undefined
  readonly #lulls: Patience
  /** While something is asked. */
  #lull: Wait | undefined
  #dialling = false
  #greeted = false
  #closed: string | undefined
  #dialError: unknown

  constructor(options: LinkOptions) {
    this.#options = options
    this.#patience = new Patience(options.silenceMs)
    this.#lulls = new Patience(options.lullMs ?? LULL_MS)
  }

  /** Rejects with what the other side says, the signal's reason, or E_DATASTORE_TIMEOUT or _LOST. */
  ask<R = Json | undefined>(request: Request): Promise<R> {
    const { signal, doing } = request
    const { name } = this.#options
    if (this.#closed !== undefined) return Promise.reject(relayLost(name, doing, this.#closed))
    if (signal?.aborted) return Promise.reject(signal.reason)
    const id = ++this.#lastId
    return new Promise<R>((resolve, reject) => {
      const finish = () => {
        this.#pending.delete(id)
        pending.round += 1
        pending.credited()
        pending.wait.end()
        signal?.removeEventListener('abort', aborted)
        if (this.#pending.size === 0) this.#need(this.#connection, false)
      }
      const pending: Pending = {
        id,
        request,
        round: 0,
        credit: 0,
        from: 0,
        credited: () => {},
        writing: Promise.resolve(),
        wait: this.#patience.wait(() => {
          this.#connection?.send({ t: 'abort', id })
          pending.fail(noAnswer(name, doing, this.#options.silenceMs, this.#dialError))
        }),
        settle: (result) => {
          finish()
          resolve(result as R)
        },
        fail: (error) => {
          finish()
          reject(error)
        },
      }
      const aborted = () => {
        this.#connection?.send({ t: 'abort', id })
        pending.fail(signal!.reason)
      }
      signal?.addEventListener('abort', aborted, { once: true })
      this.#pending.set(id, pending)
      if (this.#connection) this.#send(pending, this.#connection)
      else void this.#connect()
    })
  }

  /** Fails what is open, and all that is asked later; `why` completes `reading record x failed: <name> …`. */
  close(why = 'was closed'): void {
    this.#closed ??= why
    for (const pending of [...this.#pending.values()])
      pending.fail(relayLost(this.#options.name, pending.request.doing, this.#closed))
    this.#connection?.close()
  }

  async #connect(): Promise<void> {
    if (this.#dialling) return
    this.#dialling = true
    let pause = AGAIN_MS.first
    try {
      while (this.#pending.size > 0 && !this.#connection && this.#closed === undefined) {
        try {
          await this.#dial()
          this.#dialError = undefined
        } catch (error) {
          this.#dialError = error
          if (this.#options.final?.(error)) return this.#give(error)
          await new Promise((resolve) => setTimeout(resolve, pause))
          pause = Math.min(pause * 2, AGAIN_MS.most)
        }
      }
    } finally {
      this.#dialling = false
    }
  }

  /** Nobody is there, nor will be. */
  #give(error: unknown): void {
    for (const pending of [...this.#pending.values()])
      pending.fail(relayLost(this.#options.name, pending.request.doing, 'cannot be reached', error))
  }

  async #dial(): Promise<void> {
    const stream = await this.#options.dial(AbortSignal.timeout(DIAL_MS))
    await new Promise<void>((resolve, reject) => {
      const late = setTimeout(() => connection.close(new Error(`no greeting within ${DIAL_MS / 1000} s`)), DIAL_MS)
      const connection: RelayConnection = new RelayConnection(
        stream,
        (frame) => {
          if (frame.message.t !== 'welcome') return this.#take(frame, connection)
          if (frame.message.protocol !== RELAY_PROTOCOL) throw otherProtocol(frame.message.protocol, RELAY_PROTOCOL)
          clearTimeout(late)
          this.#greeted = true
          this.#connection = connection
          if (this.#closed !== undefined) connection.close()
          for (const pending of this.#pending.values()) this.#send(pending, connection)
          if (this.#pending.size === 0) this.#need(connection, false)
          resolve()
        },
        (error) => {
          clearTimeout(late)
          reject(error ?? new Error('the connection ended at its begin'))
          if (this.#connection !== connection) return
          this.#connection = undefined
          this.#need(undefined, false)
          for (const pending of this.#pending.values()) pending.credited()
          if (this.#pending.size > 0) void this.#connect()
        },
        () => this.#lull?.sign(),
      )
      connection.send({ t: 'hello', protocol: RELAY_PROTOCOL, session: this.#session, resumed: this.#greeted })
    })
  }

  /** Whether anybody waits for what comes over the connection. */
  #need(connection: RelayConnection | undefined, on: boolean): void {
    connection?.keepAlive(on)
    if (on) {
      this.#lull ??= this.#lulls.wait(() => connection?.close(new Error('nothing came for long')))
    } else {
      this.#lull?.end()
      this.#lull = undefined
    }
  }

  #send(pending: Pending, connection: RelayConnection): void {
    const { id, request } = pending
    const round = ++pending.round
    this.#need(connection, true)
    const low = this.#pending.keys().next().value ?? id
    const again = round > 1 ? { again: true as const } : {}
    const { op, params, bytes } = request
    pending.credit = 0
    if (request.upload) void pump(pending, round, request.upload, connection)
    this.#write(pending, round, async () => {
      const from = (await request.sink?.begin()) ?? 0
      connection.send({ t: 'ask', id, op, params: from > 0 ? { ...params, from } : params, low, ...again }, bytes)
    })
  }

  #take({ message, bytes }: RelayFrame, connection: RelayConnection): void {
    if (!('id' in message)) return
    const pending = this.#pending.get(message.id)
    if (!pending) return
    pending.wait.sign()
    const { round } = pending
    if (message.t === 'credit') {
      pending.from = message.from ?? pending.from
      pending.credit += message.bytes
      pending.credited()
    } else if (message.t === 'data') {
      this.#write(pending, round, async () => {
        await pending.request.sink?.write(bytes)
        connection.send({ t: 'credit', id: message.id, bytes: bytes.length })
      })
    } else if (message.t === 'answer') {
      const { result, error } = message
      const answered = () => (error === undefined ? pending.settle(result) : pending.fail(errorFromWire(error)))
      if (pending.request.sink) this.#write(pending, round, async () => answered())
      else answered()
    }
  }

  /** Queues work on what came; it is left out when the connection that brought it is gone. */
  #write(pending: Pending, round: number, work: () => Promise<void>): void {
    pending.writing = pending.writing.then(async () => {
      if (pending.round !== round) return
      pending.wait.busy = true
      try {
        await work()
      } catch (error) {
        if (pending.round !== round) return
        this.#connection?.send({ t: 'abort', id: pending.id })
        pending.fail(error)
      } finally {
        pending.wait.busy = false
        pending.wait.sign()
      }
    })
  }
}
