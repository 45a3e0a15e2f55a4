import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import ssh2, { type Client, type PublicKeyAuthMethod } from 'ssh2'
import { messageOf } from '../errors/base.js'
import { placeOf } from './address.js'
import { algorithms } from './algorithms.js'
import type { Candidate } from './contract.js'
import type { SshKey } from './keys.js'
import { parsedKey } from './parsed-key.js'

/** Milliseconds until the next address is tried beside the one that has not answered (RFC 8305). */
const STAGGER_MS = 250
/** More for one that has answered TCP: in a rush its handshake takes long, and others would double the rush. */
const ANSWERED_MS = 3_000
/** More for one whose SSH has said a word: it may be that this side waits in its line. */
const SPOKE_MS = 30_000
/** Between tries at an address whose host turned the connection away before its greeting, as in a flood. */
const FIRST_RETRY_MS = 40
const LAST_RETRY_MS = 1_000
/** Who turns away so often, some ten seconds long, is no member in a flood. */
const TRIES = 15
const KEEPALIVE_MS = 30_000

const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve))

/** Why an address gave no connection. */
export type DialFailure = 'refused' | 'unreachable' | 'host-key' | 'not-let-in'

export interface Tried {
  readonly candidate: Candidate
  readonly failure: DialFailure
  /** In words. */
  readonly why: string
}

export interface DialOptions {
  /** The name under which this side makes itself known: its member id. */
  readonly memberId: string
  readonly client: SshKey
  /** The first line that this side says. */
  readonly ident: string
  /** The only host key that is believed. */
  readonly host: SshKey
  readonly signal: AbortSignal
  /** Where it answered last: refused there, it is dead, and no other address is waited for. */
  readonly last?: Candidate | undefined
}

/** What was heard of an address: that its TCP answers, or a first word of its SSH. */
type Heard = 'nothing' | 'tcp' | 'word'

/** A connection that has authenticated, and the address at which. */
export interface Dialled {
  readonly client: Client
  readonly socket: Socket
  readonly candidate: Candidate
}

/** Nobody answered rightly at any address; what each gave. */
export class Unanswered extends Error {
  constructor(readonly tried: readonly Tried[]) {
    super(tried.map(({ candidate, why }) => `${placeOf(candidate)}: ${why}`).join('; '))
  }
}

/**
 * Tries the addresses in their order, each beside the ones that are late; the first on which both sides have proved
 * themselves wins. Rejects with `Unanswered`, or with the signal's reason.
 */
export async function dial(candidates: readonly Candidate[], options: DialOptions): Promise<Dialled> {
  options.signal.throwIfAborted()
  const over = new AbortController()
  const signal = AbortSignal.any([options.signal, over.signal])
  const tried: Tried[] = []
  const attempts: Promise<Dialled>[] = []
  let heard: Heard = 'nothing'
  for (const [index, candidate] of candidates.entries()) {
    // Its turn comes when the one before it has failed, or is late.
    const before = attempts[index - 1]?.then(
      () => {},
      () => {},
    )
    const attempt = Promise.race([before, turn(index, signal, () => heard)]).then(() => {
      signal.throwIfAborted()
      const tell = (what: Heard) => {
        if (heard !== 'word') heard = what
      }
      return persist(candidate, { ...options, signal }, tell)
    })
    attempts.push(attempt)
    attempt.then(
      // Who comes second goes again.
      (won) => over.signal.aborted && won.socket.destroy(),
      (error: unknown) => {
        const failure = failureOf(error)
        tried.push({ candidate, ...failure })
        if (failure.failure === 'refused' && options.last && placeOf(candidate) === placeOf(options.last))
          over.abort(new Error('it is dead where it was last'))
      },
    )
  }
  try {
    return await Promise.any(attempts).then((won) => {
      over.abort(new Error('another address answered'))
      return won
    })
  } catch {
    options.signal.throwIfAborted()
    throw new Unanswered(tried)
  } finally {
    over.abort(new Error('another address answered'))
  }
}

async function turn(index: number, signal: AbortSignal, heard: () => Heard): Promise<void> {
  // In a rush this process is late itself: what has come meanwhile is heard before anybody counts as silent.
  const wait = (ms: number) => sleep(ms, undefined, { signal }).then(nextTurn, () => {})
  if (index > 0) await wait(index * STAGGER_MS)
  if (index > 0 && heard() !== 'nothing') await wait(ANSWERED_MS)
  if (index > 0 && heard() === 'word') await wait(SPOKE_MS)
}

/** Tries one address again while it only turns connections away unheard. */
async function persist(candidate: Candidate, options: DialOptions, tell: (heard: Heard) => void): Promise<Dialled> {
  let wait = FIRST_RETRY_MS
  for (let tries = 1; ; tries += 1) {
    try {
      return await once(candidate, options, tell)
    } catch (error) {
      if (!(error instanceof TurnedAway) || tries === TRIES) throw error
      await sleep(wait * (0.5 + Math.random()), undefined, { signal: options.signal })
      wait = Math.min(wait * 2, LAST_RETRY_MS)
    }
  }
}

class TurnedAway extends Error {}
class WrongHost extends Error {}
class NotLetIn extends Error {}

function once(candidate: Candidate, options: DialOptions, tell: (heard: Heard) => void): Promise<Dialled> {
  const { memberId, client: key, ident, host, signal } = options
  const byKey: PublicKeyAuthMethod[] = [{ type: 'publickey', username: memberId, key: parsedKey(key) }]
  return new Promise((resolve, reject) => {
    const socket = connect({ ...candidate, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEPALIVE_MS })
    const client = new ssh2.Client()
    let proved = false
    let wrong = false
    const settle = (act: () => void) => {
      signal.removeEventListener('abort', aborted)
      act()
    }
    const fail = (error: unknown) => {
      socket.destroy()
      settle(() => reject(error))
    }
    const aborted = () => fail(signal.reason)
    // It stays: an 'error' event that nobody hears ends the process.
    socket.on('error', (error) => fail(connected ? new TurnedAway(messageOf(error)) : error))
    let connected = false
    socket.once('connect', () => {
      connected = true
      tell('tcp')
      socket.once('data', () => tell('word'))
      client.connect({
        sock: socket,
        username: memberId,
        ident,
        algorithms,
        hostVerifier: (blob: Buffer) => {
          proved = blob.equals(host.blob)
          wrong = !proved
          return proved
        },
        authHandler: byKey,
        readyTimeout: 0,
        keepaliveInterval: 0,
      })
    })
    client.on('error', (error) => {
      if (wrong) fail(new WrongHost('it shows the key of another host or gang'))
      else if (error.level === 'client-authentication') fail(new NotLetIn('it does not let the key of this gang in'))
      else if (error.level === 'client-socket' || /^Connection lost/.test(error.message))
        fail(new TurnedAway(messageOf(error)))
      else fail(error)
    })
    client.once('close', () => fail(new TurnedAway('it closed the connection')))
    client.once('ready', () => settle(() => resolve({ client, socket, candidate })))
    signal.addEventListener('abort', aborted, { once: true })
    if (signal.aborted) aborted()
  })
}

const words: Readonly<Record<string, string>> = {
  ETIMEDOUT: 'no answer',
  EHOSTUNREACH: 'no host answers there',
  ENETUNREACH: 'no route to that network',
}

function failureOf(error: unknown): { failure: DialFailure; why: string } {
  if (error instanceof WrongHost) return { failure: 'host-key', why: error.message }
  if (error instanceof NotLetIn) return { failure: 'not-let-in', why: error.message }
  const code = (error as NodeJS.ErrnoException).code
  if (code === 'ECONNREFUSED' || code === 'ENOENT') return { failure: 'refused', why: 'nobody listens there' }
  return { failure: 'unreachable', why: words[code ?? ''] ?? messageOf(error) }
}
