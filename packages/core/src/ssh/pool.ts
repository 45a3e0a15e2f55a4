import type { Socket } from 'node:net'
import type { Client, ClientChannel } from 'ssh2'
import { placeOf } from './address.js'
import type { Candidate, DeriveKey, OpenOptions, Probed, ProbeOptions, Target } from './contract.js'
import { type Dialled, dial, Unanswered } from './dial.js'
import { channelError, channelRefused, unansweredError } from './errors.js'
import { hostKey, type SshKey } from './keys.js'
import { identOf } from './knock.js'

export interface PoolOptions {
  readonly memberId: string
  readonly derive: DeriveKey
  readonly client: SshKey
}

export interface ChannelRequest<T> {
  ask(client: Client, done: (error: Error | undefined, channel: ClientChannel) => void): void
  /** Takes the channel at once: what came in the same packet as its opening is told in the same turn. */
  take(channel: ClientChannel): T
}

/** Milliseconds that the last words of a connection are given. */
const FAREWELL_MS = 500

/** Host keys that are kept, so that a redial derives none. */
const KEYS = 256

/** This member's connections to others: one for all traffic with each, and those that want to be alone. */
export class Pool {
  readonly #options: PoolOptions
  readonly #ident: string
  readonly #shared = new Map<string, Promise<Dialled>>()
  readonly #open = new Map<Client, Socket>()
  readonly #keys = new Map<string, SshKey>()
  /** By member and its places: where it answered last. When that one refuses, it is dead. */
  readonly #last = new Map<string, Candidate>()
  #closed = false

  constructor(options: PoolOptions) {
    this.#options = options
    this.#ident = identOf(options.derive)
  }

  /**
   * Opens a channel; over the pooled connection it is tried once more on a fresh one when that turns out to be dead.
   * Rejects with `E_MESH_REFUSED | _UNREACHABLE | _HOST_KEY | _NOT_LET_IN | _CHANNEL_LOST` or the signal's reason.
   */
  async channel<T>(target: Target, options: OpenOptions, request: ChannelRequest<T>): Promise<T> {
    if (options.own) {
      const alone = await this.#dial(target, options.signal)
      options.reached?.(alone.candidate)
      try {
        return await opened(target, alone.client, options.signal, {
          ask: request.ask,
          take(channel) {
            channel.once('close', () => alone.client.end())
            return request.take(channel)
          },
        })
      } catch (error) {
        alone.client.end()
        throw error
      }
    }
    const known = this.#shared.get(target.memberId)
    const { client } = await this.#pooled(target, options.signal)
    const shared = this.#shared.get(target.memberId)
    try {
      return await opened(target, client, options.signal, request)
    } catch (error) {
      // Who says nothing in time is dialled anew the next time: its host may have come back since.
      if (options.signal.aborted && this.#shared.get(target.memberId) === shared) this.#shared.delete(target.memberId)
      if (!known || this.#open.has(client) || options.signal.aborted) throw error
      return opened(target, (await this.#pooled(target, options.signal)).client, options.signal, request)
    }
  }

  /** Where a member answered last, else where it is most likely. */
  placeFor(target: Target): Candidate | undefined {
    return ordered(target, this.#last.get(placesOf(target)))[0]
  }

  async probe(target: Target, { signal, each }: ProbeOptions): Promise<readonly Probed[]> {
    if (each) return Promise.all(target.candidates.map((place) => this.#tryOne(target.memberId, place, signal)))
    try {
      const { candidate, socket } = await this.#pooled(target, signal)
      return [{ place: candidate, local: socket.localAddress ?? '' }]
    } catch (error) {
      return failed(target.candidates, (error as Error).cause ?? error)
    }
  }

  close(): void {
    this.#closed = true
    this.#shared.clear()
    for (const [client, socket] of this.#open) {
      client.end()
      // The other side may be stopped, or gone without a word.
      setTimeout(() => socket.destroy(), FAREWELL_MS).unref()
    }
  }

  async #tryOne(id: string, place: Candidate, signal: AbortSignal): Promise<Probed> {
    const { memberId, client } = this.#options
    try {
      const dialled = await dial([place], { memberId, client, ident: this.#ident, host: this.#key(id), signal })
      dialled.client.end()
      return { place, local: dialled.socket.localAddress ?? '' }
    } catch (error) {
      return failed([place], error)[0]!
    }
  }

  async #pooled(target: Target, signal: AbortSignal): Promise<Dialled> {
    const id = target.memberId
    const known = this.#shared.get(id)
    if (known) return withSignal(known, signal)
    // It outlives who asked first: others wait for it too, each with a deadline of its own.
    const fresh = this.#dial(target, AbortSignal.timeout(60_000))
    this.#shared.set(id, fresh)
    const forget = () => {
      if (this.#shared.get(id) === fresh) this.#shared.delete(id)
    }
    fresh.then(({ client }) => client.once('close', forget), forget)
    return withSignal(fresh, signal)
  }

  async #dial(target: Target, signal: AbortSignal): Promise<Dialled> {
    const { memberId, client } = this.#options
    const known = placesOf(target)
    const last = this.#last.get(known)
    try {
      const { memberId: id } = target
      const dialled = await dial(ordered(target, last), {
        memberId,
        client,
        ident: this.#ident,
        host: this.#key(id),
        signal,
        last,
      })
      this.#last.set(known, dialled.candidate)
      this.#open.set(dialled.client, dialled.socket)
      dialled.client.once('close', () => this.#open.delete(dialled.client))
      if (this.#closed) dialled.client.end()
      return dialled
    } catch (error) {
      if (signal.aborted) throw signal.reason
      throw unansweredError(target, error, last)
    }
  }

  #key(memberId: string): SshKey {
    const key = this.#keys.get(memberId) ?? hostKey(this.#options.derive, memberId)
    this.#keys.set(memberId, key)
    if (this.#keys.size > KEYS) this.#keys.delete(this.#keys.keys().next().value!)
    return key
  }
}

/** The address that answered last comes first. */
function ordered({ candidates }: Target, last: Candidate | undefined): readonly Candidate[] {
  const first = candidates.findIndex((one) => last && placeOf(one) === placeOf(last))
  return first > 0 ? [candidates[first]!, ...candidates.filter((_, index) => index !== first)] : candidates
}

/** The same for the same places in any order; another for a way aside (a socket that leads to the launcher besides). */
const placesOf = ({ memberId, candidates }: Target): string => [memberId, ...candidates.map(placeOf).sort()].join(' ')

/** What each place gave; those that had not answered when the time was over say that. */
function failed(places: readonly Candidate[], cause: unknown): Probed[] {
  const tried = cause instanceof Unanswered ? cause.tried : []
  return places.map((place) => {
    const found = tried.find(({ candidate }) => placeOf(candidate) === placeOf(place))
    return { place, why: found?.why ?? 'no answer', ...(found?.failure === 'refused' ? { refused: true } : {}) }
  })
}

/** One channel of a connection, or the reason why there is none. */
function opened<T>(target: Target, client: Client, signal: AbortSignal, request: ChannelRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason)
    const settle = (act: () => void) => {
      signal.removeEventListener('abort', aborted)
      client.off('close', broken)
      act()
    }
    let over = false
    const aborted = () => {
      over = true
      settle(() => reject(signal.reason))
    }
    const broken = () =>
      settle(() => reject(channelError(target.memberId, 'the connection broke while a channel was opened')))
    signal.addEventListener('abort', aborted, { once: true })
    client.once('close', broken)
    try {
      request.ask(client, (error, channel) => {
        if (over) return void channel?.close()
        settle(() => (error ? reject(channelRefused(target.memberId, error)) : resolve(request.take(channel))))
      })
    } catch (error) {
      settle(() => reject(channelError(target.memberId, 'no channel was opened', error)))
    }
  })
}

function withSignal<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const aborted = () => reject(signal.reason)
    if (signal.aborted) return aborted()
    signal.addEventListener('abort', aborted, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', aborted))
  })
}
