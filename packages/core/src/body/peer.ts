import type { Duplex } from 'node:stream'
import { GangflowError, messageOf } from '../errors/base.js'
import type { Json } from '../flow/values.js'
import { defaultLimits, encodeFrame, type Frame, FrameReader } from './frames.js'
import { abandoned, factsOf, late, strange, unknownMethod } from './peer-errors.js'
import type { Message } from './protocol.js'

/** What a method answers: JSON, nothing, or JSON with raw bytes. */
export type Answer = Json | undefined | WithPayload | void

export class WithPayload {
  constructor(
    readonly payload: Uint8Array,
    readonly result?: Json,
  ) {}
}

export interface CallContext {
  /** Aborted when the caller gives the call up or the connection ends. */
  readonly signal: AbortSignal
  readonly peer: Peer
}

export type Method = (params: Json | undefined, payload: Uint8Array, context: CallContext) => Answer | Promise<Answer>
export type Methods = Readonly<Record<string, Method>>

export interface CallRequest {
  readonly payload?: Uint8Array
  readonly signal?: AbortSignal
  /** Milliseconds until `E_PEER_TIMEOUT`. Default: none, the connection's end is the only limit. */
  readonly timeoutMs?: number
  /** Whom the call waits for, in words; default the peer's name. */
  readonly waitsFor?: string
}

export interface PeerOptions {
  /** Who is at the other end, in words: `the agent of node 2`. */
  readonly name: string
  readonly methods?: Methods
  readonly onEvent?: (event: string, data: Json | undefined, payload: Uint8Array) => void
  /** Takes hello, welcome and refused; without it they are errors. */
  readonly onGreeting?: (message: Message, peer: Peer) => void
  /** True: only an open call keeps this process alive, not the connection itself. */
  readonly background?: boolean
  readonly reader?: FrameReader
}

interface Pending {
  readonly settle: (frame: Frame) => void
  readonly fail: (error: unknown) => void
}

/** One end of a connection on which both sides call, answer and tell events (docs/reference/protocol.md). */
export class Peer {
  name: string
  methods: Methods
  onEvent: NonNullable<PeerOptions['onEvent']>
  /** Settles once with why the connection ended: undefined for an ordinary end. */
  readonly closed: Promise<GangflowError | undefined>
  readonly #stream: Duplex
  readonly #reader: FrameReader
  readonly #onGreeting: PeerOptions['onGreeting']
  readonly #pending = new Map<number, Pending>()
  readonly #serving = new Map<number, AbortController>()
  #lastId = 0
  #holds = 0
  #background: boolean
  #end: { readonly error: GangflowError | undefined } | undefined
  #settleClosed!: (error: GangflowError | undefined) => void

  constructor(stream: Duplex, options: PeerOptions) {
    this.name = options.name
    this.methods = options.methods ?? {}
    this.onEvent = options.onEvent ?? (() => {})
    this.#onGreeting = options.onGreeting
    this.#reader = options.reader ?? new FrameReader(defaultLimits)
    this.#stream = stream
    this.#background = options.background ?? false
    this.closed = new Promise((resolve) => {
      this.#settleClosed = resolve
    })
    stream.on('data', (chunk: Uint8Array) => this.#receive(chunk))
    // The stream's own error says no more than that the connection ended.
    stream.on('error', () => this.#finish(undefined))
    stream.on('end', () => this.#finish(undefined))
    stream.on('close', () => this.#finish(undefined))
    this.#weigh()
  }

  get isClosed(): boolean {
    return this.#end !== undefined
  }

  /** Lifts or restores the limit of what a frame may hold (small until the hello). */
  set limits(limits: FrameReader['limits']) {
    this.#reader.limits = limits
  }

  /** With true, the connection alone no longer keeps this process alive; open calls and `hold`s still do. */
  set background(on: boolean) {
    this.#background = on
    this.#weigh()
  }

  /** Keeps this process alive for the connection's sake until the returned function is called. */
  hold(): () => void {
    this.#holds += 1
    this.#weigh()
    let held = true
    return () => {
      if (!held) return
      held = false
      this.#holds -= 1
      this.#weigh()
    }
  }

  /** Calls a method of the other side. Rejects with its GangflowError, or `E_PEER_CLOSED | _TIMEOUT | _ABORTED`. */
  async call<R = Json | undefined>(method: string, params?: Json, request: CallRequest = {}): Promise<R> {
    return (await this.callFrame(method, params, request)).result as R
  }

  /** `call` with the reply's bytes. */
  callFrame(
    method: string,
    params?: Json,
    request: CallRequest = {},
  ): Promise<{ result: Json | undefined; payload: Uint8Array }> {
    if (this.#end) return Promise.reject(this.#gone(method))
    if (request.signal?.aborted) return Promise.reject(abandoned(method, messageOf(request.signal.reason)))
    const id = ++this.#lastId
    const release = this.hold()
    return new Promise((resolve, reject) => {
      const leave = (reason: string, error: GangflowError) => {
        done()
        this.send({ t: 'abort', id, reason })
        reject(error)
      }
      const onAbort = () => {
        const reason = messageOf(request.signal!.reason)
        leave(reason, abandoned(method, reason))
      }
      const timer =
        request.timeoutMs === undefined
          ? undefined
          : setTimeout(() => leave('deadline', late(method, request, this.name)), request.timeoutMs)
      const done = () => {
        this.#pending.delete(id)
        clearTimeout(timer)
        request.signal?.removeEventListener('abort', onAbort)
        release()
      }
      request.signal?.addEventListener('abort', onAbort)
      this.#pending.set(id, {
        settle: ({ message, payload }) => {
          done()
          const { result, error } = message as Extract<Message, { t: 'reply' }>
          if (error) reject(new GangflowError(error))
          else resolve({ result, payload })
        },
        fail: (error) => {
          done()
          reject(error)
        },
      })
      try {
        this.send({ t: 'call', id, method, ...(params === undefined ? {} : { params }) }, request.payload)
      } catch (error) {
        done()
        reject(error)
      }
    })
  }

  /** Tells something without an answer; lost silently when the connection has ended. */
  event(event: string, data?: Json, payload?: Uint8Array): void {
    this.send({ t: 'event', event, ...(data === undefined ? {} : { data }) }, payload)
  }

  /** Writes one message as it is. */
  send(message: Message, payload?: Uint8Array): void {
    const pieces = encodeFrame(message, payload)
    if (this.#end || this.#stream.writableEnded) return
    if (pieces.length > 1) this.#stream.cork()
    for (const piece of pieces) this.#stream.write(piece)
    if (pieces.length > 1) this.#stream.uncork()
  }

  /** Settles when all that was sent has been handed to the system, or the connection ended. */
  async flushed(): Promise<void> {
    if (this.#end) return
    await Promise.race([new Promise<void>((resolve) => this.#stream.write('', () => resolve())), this.closed])
  }

  /** Ends the connection after what was sent; with an error, open calls on this side reject with it as cause. */
  close(error?: GangflowError): void {
    this.#stream.end()
    this.#finish(error)
    // The other side may never read or close: what is unsent after this long is dropped.
    const timer = setTimeout(() => this.#stream.destroy(), 2000)
    timer.unref()
    this.#stream.once('close', () => clearTimeout(timer))
  }

  #receive(chunk: Uint8Array): void {
    if (this.#end) return
    this.#reader.push(chunk)
    try {
      for (let frame = this.#reader.next(); frame && !this.#end; frame = this.#reader.next()) this.#take(frame)
    } catch (error) {
      this.close(error as GangflowError)
    }
  }

  #take(frame: Frame): void {
    const { message, payload } = frame
    if (message.t === 'call') void this.#serve(message.id, message.method, message.params, payload)
    else if (message.t === 'reply') this.#pending.get(message.id)?.settle(frame)
    else if (message.t === 'abort') this.#serving.get(message.id)?.abort(new Error(message.reason))
    else if (message.t === 'event') this.onEvent(message.event, message.data, payload)
    else if (this.#onGreeting) this.#onGreeting(message, this)
    else throw strange(message.t, this.name)
  }

  async #serve(id: number, method: string, params: Json | undefined, payload: Uint8Array): Promise<void> {
    const control = new AbortController()
    this.#serving.set(id, control)
    try {
      if (!Object.hasOwn(this.methods, method)) throw unknownMethod(method)
      const answer = await this.methods[method]!(params, payload, { signal: control.signal, peer: this })
      if (answer instanceof WithPayload) this.send(replyOf(id, answer.result), answer.payload)
      else this.send(replyOf(id, answer as Json | undefined))
    } catch (error) {
      this.send({ t: 'reply', id, error: factsOf(error, method) })
    } finally {
      this.#serving.delete(id)
    }
  }

  #finish(error: GangflowError | undefined): void {
    if (this.#end) return
    this.#end = { error }
    for (const pending of [...this.#pending.values()]) pending.fail(this.#gone(undefined))
    for (const control of this.#serving.values()) control.abort(this.#gone(undefined))
    this.#stream.end()
    this.#settleClosed(error)
  }

  #gone(method: string | undefined): GangflowError {
    const during = method === undefined ? '' : ` before '${method}' was called`
    return new GangflowError(
      { code: 'E_PEER_CLOSED', what: `the connection to ${this.name} has ended${during}` },
      { cause: this.#end?.error },
    )
  }

  /** The socket keeps the process alive only where somebody waits for it. */
  #weigh(): void {
    const socket = this.#stream as Duplex & { ref?(): void; unref?(): void }
    if (this.#background && this.#holds === 0) socket.unref?.()
    else socket.ref?.()
  }
}

function replyOf(id: number, result: Json | undefined): Message {
  return { t: 'reply', id, ...(result === undefined ? {} : { result }) }
}
