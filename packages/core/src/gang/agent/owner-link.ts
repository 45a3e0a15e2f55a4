import { type Methods, Peer } from '../../body/peer.js'
import { GangflowError } from '../../errors/base.js'
import type { Transport } from '../contract.js'
import { answer } from '../handshake.js'

export interface OwnerLinkOptions {
  readonly transport: Transport
  readonly rendezvous: string
  readonly key: Uint8Array
  readonly memberId: string
  /** Milliseconds for the first connection: all start at once, and may want for a processor. */
  readonly startMs: number
  /** Milliseconds of the lease. */
  readonly leaseMs: number
  /** Milliseconds of silence after which the owner counts as gone. */
  readonly silenceMs: number
  readonly methods: Methods
  /** The owner has gone, and why; called once. */
  lost(why: string): void
}

/**
 * The agent's lease connection to the owner: beats, redials once when it breaks (refused means that the owner is
 * dead), and notices its long silence. Silence while this process itself was stopped does not count.
 */
export class OwnerLink {
  epoch = 0
  #peer: Peer | undefined
  #heard = performance.now()
  #timer: NodeJS.Timeout | undefined
  #closed = false
  readonly #options: OwnerLinkOptions

  constructor(options: OwnerLinkOptions) {
    this.#options = options
  }

  async open(): Promise<Peer> {
    const { leaseMs, silenceMs } = this.#options
    const peer = await this.#dial(this.#options.startMs)
    const every = leaseMs / 5
    let ticked = performance.now()
    this.#timer = setInterval(() => {
      const now = performance.now()
      if (now - ticked > leaseMs / 2) this.#heard = now
      ticked = now
      this.#peer?.event('beat')
      if (now - this.#heard > silenceMs) this.#lose(`said nothing for ${Math.round(silenceMs / 1000)} s`)
    }, every)
    return peer
  }

  /** Tells the owner something; lost when the owner is. */
  report(event: string, data: unknown): void {
    this.#peer?.event(event, data as never)
  }

  async flushed(): Promise<void> {
    await this.#peer?.flushed()
  }

  close(): void {
    this.#closed = true
    clearInterval(this.#timer)
    this.#peer?.close()
  }

  async #dial(limitMs: number): Promise<Peer> {
    const { transport, rendezvous, key, memberId, methods } = this.#options
    const signal = AbortSignal.timeout(limitMs)
    const { stream } = await transport.connect(rendezvous, { signal, own: true })
    await answer(stream, key, { member: memberId, purpose: 'lease', epoch: this.epoch }, signal)
    const peer = new Peer(stream, {
      name: 'the launcher',
      methods,
      onEvent: () => {
        this.#heard = performance.now()
      },
    })
    this.#heard = performance.now()
    this.#peer = peer
    void peer.closed.then(() => this.#broken())
    return peer
  }

  async #broken(): Promise<void> {
    if (this.#closed) return
    try {
      await this.#dial(this.#options.leaseMs * 2)
    } catch (error) {
      const refused = GangflowError.is(error) && error.code === 'E_GANG_REFUSED'
      this.#lose(refused ? 'has ended' : 'cannot be reached any more')
    }
  }

  #lose(why: string): void {
    if (this.#closed) return
    this.close()
    this.#options.lost(why)
  }
}
