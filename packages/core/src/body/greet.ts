import type { Duplex } from 'node:stream'
import { GangflowError } from '../errors/base.js'
import { coreVersion } from '../errors/version.js'
import { connect } from './connect.js'
import { deferred } from './deferred.js'
import { defaultLimits, FrameReader, helloLimits } from './frames.js'
import { Peer, type PeerOptions } from './peer.js'
import { factsOf } from './peer-errors.js'
import { BODY_PROTOCOL, type Message, type Role } from './protocol.js'

export type Hello = Extract<Message, { t: 'hello' }>

export interface Introduction {
  readonly role: Role
  readonly name: string
  readonly pid: number
  /** Default this core's. */
  readonly protocol?: number
}

/** Connects to a host's socket and introduces this process; rejects with what the host refused it for. */
export async function dial(
  path: string,
  me: Introduction,
  options: Omit<PeerOptions, 'onGreeting' | 'reader'> & { readonly timeoutMs?: number },
): Promise<Peer> {
  const timeoutMs = options.timeoutMs ?? 30_000
  const socket = await connect(path, timeoutMs)
  const answered = deferred<void>()
  const timer = setTimeout(() => answered.reject(silent(options.name, timeoutMs)), timeoutMs)
  const peer = new Peer(socket, {
    ...options,
    onGreeting: (message) => {
      if (message.t === 'welcome') answered.resolve()
      else if (message.t === 'refused') answered.reject(new GangflowError(message.error))
      else answered.reject(rude(options.name, message.t))
    },
  })
  void peer.closed.then((error) => answered.reject(error ?? ended(options.name)))
  peer.send({ t: 'hello', protocol: BODY_PROTOCOL, version: coreVersion, ...me })
  try {
    await answered.promise
    return peer
  } catch (error) {
    peer.close()
    throw error
  } finally {
    clearTimeout(timer)
  }
}

export interface GreetOptions {
  /** Milliseconds that a connection has for its hello. */
  readonly timeoutMs: number
  /** Who it becomes; throws a GangflowError to refuse it. */
  admit(hello: Hello): Omit<PeerOptions, 'onGreeting' | 'reader'>
}

/** Takes the hello of a connection that was accepted; rejects, the connection closed, when it is none or is refused. */
export function greet(stream: Duplex, options: GreetOptions): Promise<{ readonly peer: Peer; readonly hello: Hello }> {
  return new Promise((resolve, reject) => {
    const fail = (error: GangflowError) => {
      clearTimeout(timer)
      if (!peer.isClosed) peer.send({ t: 'refused', error: factsOf(error, 'hello') })
      peer.close(error)
      reject(error)
    }
    const timer = setTimeout(() => fail(silent('who connected', options.timeoutMs)), options.timeoutMs)
    let greeted = false
    const peer: Peer = new Peer(stream, {
      name: 'who connected',
      reader: new FrameReader(helloLimits),
      onEvent: (event) => {
        if (!greeted) fail(rude('who connected', `event ${event}`))
      },
      onGreeting: (message) => {
        if (message.t !== 'hello' || greeted) return fail(rude(peer.name, message.t))
        try {
          checkProtocol(message)
          const { name, methods, onEvent, background } = options.admit(message)
          peer.name = name
          peer.methods = methods ?? {}
          if (onEvent) peer.onEvent = onEvent
          if (background) peer.background = true
        } catch (error) {
          return fail(error as GangflowError)
        }
        greeted = true
        clearTimeout(timer)
        peer.limits = defaultLimits
        peer.send({ t: 'welcome', protocol: BODY_PROTOCOL, version: coreVersion })
        resolve({ peer, hello: message })
      },
    })
    void peer.closed.then((error) => {
      clearTimeout(timer)
      reject(error ?? ended('who connected'))
    })
  })
}

function checkProtocol(hello: Hello): void {
  if (hello.protocol === BODY_PROTOCOL) return
  throw new GangflowError({
    code: 'E_PROTOCOL_VERSION',
    what: `'${hello.name}' (version ${hello.version}) speaks protocol ${hello.protocol}, this host (version ${coreVersion}) speaks ${BODY_PROTOCOL}`,
    fix: `use version ${coreVersion} of @gangflow/core in both`,
  })
}

function silent(name: string, timeoutMs: number): GangflowError {
  return new GangflowError({ code: 'E_PROTOCOL_HELLO', what: `${name} said no hello within ${timeoutMs} ms` })
}

function rude(name: string, what: string): GangflowError {
  return new GangflowError({ code: 'E_PROTOCOL_HELLO', what: `${name} sent '${what}' where a hello belongs` })
}

function ended(name: string): GangflowError {
  return new GangflowError({ code: 'E_PEER_CLOSED', what: `${name} ended the connection before the hello` })
}
