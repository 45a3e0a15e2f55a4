import { setTimeout as pause } from 'node:timers/promises'
import { type Methods, Peer } from '../../body/peer.js'
import { GangflowError, messageOf } from '../../errors/base.js'
import type { Json } from '../../flow/values.js'
import type { Transport } from '../contract.js'
import { answer } from '../handshake.js'
import type { Late, Report } from '../protocol.js'
import type { Rendezvous } from '../rendezvous/contract.js'
import { OwnerClock } from './clock.js'
import { isFinal, persist } from './persist.js'

export interface OwnerLinkOptions {
  readonly transport: Transport
  readonly rendezvous: Rendezvous
  readonly key: Uint8Array
  readonly memberId: string
  /** Milliseconds for the first connection: all start at once, and may want for a processor. */
  readonly startMs: number
  /** Milliseconds of the lease. */
  readonly leaseMs: number
  readonly methods: Methods
  /** It has answered a beat. */
  heard?(): void
  /** It wants to know whether this member lives. */
  askedFor?(): void
  /** The owner has gone, or lives and has given this member up, and why; called once. */
  lost(why: string, ownerLives: boolean): void
}

/** Milliseconds between two tries to reach the owner again. */
const AGAIN_MS = 100

/**
 * The agent's lease connection to the owner: beats, and dials again when it breaks. Refused means that the owner is
 * dead; what its mere silence means is for the vigil to say.
 */
export class OwnerLink {
  epoch = 0
  /** `performance.now()` of the owner's last sign of life. */
  heardAt = performance.now()
  /** `performance.now()` of the latest beat that it has answered. */
  answered = 0
  /** What carries it is not its own: see `Connection.forwarded`. */
  forwarded = false
  readonly clock = new OwnerClock()
  /** `performance.now()` when, by the parent's account, the owner lived. */
  claimedAt = 0
  /** `performance.now()` of the last beat, and of the first one that was not answered. */
  beatAt = 0
  #asked = 0
  /** `performance.now()` when the owner last asked whether this member lives. */
  askedAt = Number.NEGATIVE_INFINITY
  #peer: Peer | undefined
  #closed = false
  /** All that was reported, for an owner that may not have got it over a connection that broke. */
  readonly #reports: Json[] = []
  readonly #options: OwnerLinkOptions

  constructor(options: OwnerLinkOptions) {
    this.#options = options
  }

  open(): Promise<Peer> {
    return persist((leftMs) => this.#dial(leftMs), this.#options.startMs)
  }

  /**
   * When the owner was last known to live, `performance.now()`: a claim of others stands until this member has asked
   * itself and got no answer.
   */
  get aliveAt(): number {
    const claimed = this.#asked > this.answered ? Math.min(this.claimedAt, this.#asked) : this.claimedAt
    return Math.max(this.heardAt, claimed)
  }

  /** A sign of life, which the owner answers; `late`: of those below in the tree, who has said nothing for how long. */
  beat(late?: readonly Late[]): void {
    const now = performance.now()
    if (this.answered >= this.#asked) this.#asked = now
    this.beatAt = now
    this.#peer?.event('beat', { sent: now, ...(late ? { late, epoch: this.epoch } : {}) })
  }

  /** Tells the owner, once, though maybe over a later connection; lost when the owner is. */
  report(report: Omit<Report, 'seq' | 'epoch'>): void {
    const now = performance.now()
    const ownerAt = this.clock.onOwners(now - report.ageMs)
    const seq = this.#reports.length + 1
    const kept = { ...report, seq, epoch: this.epoch, ...(ownerAt === undefined ? {} : { ownerAt }) } as unknown as Json
    this.#reports.push(kept)
    this.#peer?.event('report', kept)
  }

  /** Calls the owner; again over a new connection where the old one broke, as long as there is an owner and time. */
  async call<R>(method: string, params: Json, limitMs: number, waitsFor: string): Promise<R> {
    return (await this.#frame(method, params, limitMs, waitsFor)).result as R
  }

  /** The bytes of an answer. */
  async payload(method: string, params: Json, limitMs: number): Promise<Uint8Array> {
    return (await this.#frame(method, params, limitMs, 'the launcher')).payload
  }

  /** Tells the owner, if there is a way; nothing depends on it. */
  tell(event: string, data: Json): void {
    this.#peer?.event(event, data)
  }

  async #frame(method: string, params: Json, limitMs: number, waitsFor: string) {
    const deadline = performance.now() + limitMs
    for (;;) {
      const timeoutMs = Math.max(1, deadline - performance.now())
      try {
        return await this.#peer!.callFrame(method, params, { timeoutMs, waitsFor })
      } catch (error) {
        if (!GangflowError.is(error) || error.code !== 'E_PEER_CLOSED' || this.#closed) throw error
        if (performance.now() >= deadline) throw error
        await pause(AGAIN_MS)
      }
    }
  }

  async flushed(): Promise<void> {
    await this.#peer?.flushed()
  }

  close(): void {
    this.#closed = true
    this.#peer?.close()
  }

  async #dial(limitMs: number): Promise<Peer> {
    const { transport, rendezvous, key, memberId, methods } = this.#options
    const signal = AbortSignal.timeout(Math.ceil(limitMs))
    const address = await rendezvous.find({ signal })
    const { stream, forwarded = false } = await transport.connect(address, { signal, own: true })
    await answer(stream, key, { member: memberId, purpose: 'lease', epoch: this.epoch }, signal)
    const peer = new Peer(stream, { name: 'the launcher', methods, onEvent: (event, data) => this.#heard(event, data) })
    this.heardAt = performance.now()
    this.forwarded = forwarded
    // What was asked over a connection that broke is answered by none.
    this.#asked = this.answered
    this.#peer = peer
    void peer.closed.then(() => this.#broken())
    for (const report of this.#reports) peer.event('report', report)
    return peer
  }

  #heard(event: string, data: Json | undefined): void {
    if (event === 'out') {
      this.#lose('has given this member up', true)
      return
    }
    if (event === 'ask') {
      this.askedAt = performance.now()
      this.#options.askedFor?.()
      return
    }
    this.heardAt = performance.now()
    const { sent, owner } = (data ?? {}) as { sent?: number; owner?: number }
    if (typeof sent !== 'number' || typeof owner !== 'number') return
    this.answered = sent
    this.clock.answered(sent, owner, this.heardAt)
    this.#options.heard?.()
  }

  /** Dials again for a lease; a way that is down for a moment is no end. */
  async #broken(): Promise<void> {
    const deadline = performance.now() + this.#options.leaseMs
    for (; !this.#closed; await pause(AGAIN_MS)) {
      try {
        await this.#dial(Math.max(1, deadline - performance.now()))
        return
      } catch (error) {
        const code = GangflowError.is(error) ? error.code : ''
        if (code === 'E_GANG_REFUSED') return this.#lose('has ended')
        // It answered, and takes this member no more.
        if (isFinal(code)) return this.#lose(`does not take this member back: ${messageOf(error)}`, true)
        if (performance.now() >= deadline) return this.#lose('cannot be reached any more')
      }
    }
  }

  #lose(why: string, ownerLives = false): void {
    if (this.#closed) return
    this.close()
    this.#options.lost(why, ownerLives)
  }
}
