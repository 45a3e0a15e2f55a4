import type { Duplex } from 'node:stream'
import type { Json } from '../../flow/values.js'
import type { Datastore } from '../contract.js'
import { Patience } from '../patience.js'
import { RelayConnection } from './connection.js'
import { errorToWire, otherProtocol } from './failures.js'
import { type HostSide, type Operation, operations } from './operations.js'
import type { RelayScope } from './scope.js'
import { Download, Upload } from './transfers.js'
import { type Ask, type Op, RELAY_PROTOCOL, type RelayFrame } from './wire.js'

/** Milliseconds between two signs that something is still worked on; what hangs below is told in its time. */
const TICK_MS = 5_000
/** Milliseconds for which the answers to a client are kept that has no connection. */
const FORGET_MS = 600_000

export interface RelayServerOptions {
  readonly store: Datastore
  readonly scope: RelayScope
  /** Milliseconds within which the store has to get on with what it was asked; then E_DATASTORE_TIMEOUT. */
  readonly silenceMs: number
  /** For the bodies of this host: what they share with who serves them. */
  readonly host?: HostSide
}

/** What is done once, however often it is asked for. */
const once = new Set<Op>(['upload', 'create', 'replace', 'delete', 'deleteAll', 'deleteBlob'])

/** A client over all its connections. */
interface Session {
  /** The client was served before, by somebody whose answers are not known here. */
  readonly inherited: boolean
  /** Answers by id that the client may not have got. */
  readonly answers: Map<number, Promise<Json | undefined>>
  /** Uploads that have not come whole. */
  readonly uploads: Map<number, Open>
  connection?: RelayConnection
  forget?: NodeJS.Timeout
}

interface Open {
  readonly cancel: AbortController
  readonly upload: Upload
  readonly download: Download
}

/** Serves one datastore to clients of one scope, over any number of connections (wire.ts). */
export class RelayServer {
  readonly #options: RelayServerOptions
  readonly #patience: Patience
  readonly #sessions = new Map<string, Session>()
  readonly #connections = new Set<RelayConnection>()

  constructor(options: RelayServerOptions) {
    this.#options = options
    this.#patience = new Patience(options.silenceMs)
  }

  /** Serves until the connection ends. A newer connection of the same client ends the older one. */
  serve(stream: Duplex): void {
    const open = new Map<number, Open>()
    let session: Session | undefined
    const connection: RelayConnection = new RelayConnection(
      stream,
      (frame) => {
        if (frame.message.t === 'hello') {
          const { protocol, session: name, resumed } = frame.message
          if (protocol !== RELAY_PROTOCOL) throw otherProtocol(protocol, RELAY_PROTOCOL)
          session = this.#enter(name, resumed, connection)
          connection.send({ t: 'welcome', protocol: RELAY_PROTOCOL })
        } else if (session) this.#take(frame, session, connection, open)
        else connection.close()
      },
      () => {
        this.#connections.delete(connection)
        for (const [id, { cancel }] of open) {
          if (!session?.uploads.has(id)) cancel.abort(new Error('the connection ended'))
        }
        if (session?.connection === connection) this.#leave(session)
      },
    )
    this.#connections.add(connection)
  }

  close(): void {
    for (const connection of this.#connections) connection.close()
    for (const session of this.#sessions.values()) {
      clearTimeout(session.forget)
      drop(session)
    }
  }

  #enter(name: string, resumed: boolean, connection: RelayConnection): Session {
    const session: Session = this.#sessions.get(name) ?? {
      inherited: resumed,
      answers: new Map(),
      uploads: new Map(),
    }
    this.#sessions.set(name, session)
    clearTimeout(session.forget)
    session.connection?.close()
    session.connection = connection
    return session
  }

  #leave(session: Session): void {
    delete session.connection
    const forget = () => {
      drop(session)
      for (const [name, known] of this.#sessions) if (known === session) this.#sessions.delete(name)
    }
    session.forget = setTimeout(forget, FORGET_MS).unref()
  }

  #take({ message, bytes }: RelayFrame, session: Session, connection: RelayConnection, open: Map<number, Open>): void {
    if (message.t === 'ask') void this.#answer(message, bytes, session, connection, open)
    else if (message.t === 'data') open.get(message.id)?.upload.push(bytes)
    else if (message.t === 'end') open.get(message.id)?.upload.end()
    else if (message.t === 'credit') open.get(message.id)?.download.grant(message.bytes)
    else if (message.t === 'abort') open.get(message.id)?.cancel.abort(new Error('it is not wanted any more'))
  }

  async #answer(
    ask: Ask,
    bytes: Uint8Array,
    session: Session,
    connection: RelayConnection,
    open: Map<number, Open>,
  ): Promise<void> {
    const { id, op, low } = ask
    drop(session, low)
    const kept = ask.again ? session.uploads.get(id) : undefined
    const cancel = kept?.cancel ?? new AbortController()
    const upload = kept?.upload ?? new Upload(cancel.signal)
    upload.attach((count, from) =>
      connection.send({ t: 'credit', id, bytes: count, ...(from === undefined ? {} : { from }) }),
    )
    const download = new Download((piece) => connection.send({ t: 'data', id }, piece), cancel.signal)
    const transfer = { cancel, upload, download }
    open.set(id, transfer)
    if (op === 'upload') session.uploads.set(id, transfer)
    connection.hold(bytes.length)
    const tick = setInterval(() => connection.send({ t: 'tick', id }), TICK_MS).unref()
    try {
      let answer = ask.again ? session.answers.get(id) : undefined
      if (answer === undefined) {
        answer = this.#perform({ ask, bytes, upload, download, signal: cancel.signal, inherited: session.inherited })
        if (once.has(op)) session.answers.set(id, answer)
      }
      const result = await answer.finally(() => session.uploads.delete(id))
      connection.send({ t: 'answer', id, ...(result === undefined ? {} : { result }) })
    } catch (error) {
      // What still works on it has nobody to work for.
      cancel.abort(error)
      connection.send({ t: 'answer', id, error: errorToWire(error, `'${op}'`) })
    } finally {
      clearInterval(tick)
      connection.hold(-bytes.length)
      open.delete(id)
    }
  }

  async #perform(operation: Omit<Operation, 'patience' | 'store' | 'scope' | 'host'>): Promise<Json | undefined> {
    const { store, scope, host } = this.#options
    return await operations({ ...operation, store, scope, host, patience: this.#patience })
  }
}

/** Forgets what the client will not ask for again: all, or everything below an id. */
function drop({ answers, uploads }: Session, below = Number.POSITIVE_INFINITY): void {
  for (const id of answers.keys()) if (id < below) answers.delete(id)
  for (const [id, { cancel }] of uploads) {
    if (id >= below) continue
    uploads.delete(id)
    cancel.abort(new Error('it is not wanted any more'))
  }
}
