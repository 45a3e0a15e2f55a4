import { setTimeout as pause } from 'node:timers/promises'
import type { Peer } from '../../body/peer.js'
import { GangflowError } from '../../errors/base.js'
import type { Json } from '../../flow/values.js'
import { persist } from './persist.js'

/** Milliseconds between two tries to reach the owner again. */
const AGAIN_MS = 100

export interface DataLinkOptions {
  /** A new connection under the current epoch; rejects with `E_GANG_REFUSED` when the owner is gone. */
  dial(limitMs: number): Promise<Peer>
  /** Milliseconds of the lease: for so long a broken connection is dialled again. */
  readonly leaseMs: number
}

/**
 * What the live view is told, in order, one after the other and each exactly once: a thing counts as told when the owner
 * has answered, and is told again over a new connection when the old one broke before that. Where the owner cannot be
 * reached within a lease the live view ends here; what it would have shown is in the logs.
 */
export class DataLink {
  readonly #options: DataLinkOptions
  readonly #queue: { readonly event: string; readonly params: Json }[] = []
  #peer: Peer | undefined
  #told = 0
  #telling = false
  #over = false
  #idle: (() => void)[] = []

  constructor(options: DataLinkOptions) {
    this.#options = options
  }

  async open(limitMs: number): Promise<void> {
    this.#peer = await persist(this.#options.dial, limitMs)
  }

  tell(event: string, data: unknown = null): void {
    if (this.#over) return
    this.#told += 1
    this.#queue.push({ event, params: { seq: this.#told, data } as Json })
    void this.#pump()
  }

  /** Settles when all was told, or nothing more can be. */
  async flushed(): Promise<void> {
    if (this.#telling) await new Promise<void>((resolve) => this.#idle.push(resolve))
  }

  close(): void {
    this.#over = true
    this.#queue.length = 0
    this.#peer?.close()
  }

  async #pump(): Promise<void> {
    if (this.#telling) return
    this.#telling = true
    for (let next = this.#queue[0]; next && !this.#over; next = this.#queue[0]) {
      try {
        await this.#peer!.call(next.event, next.params)
        this.#queue.shift()
      } catch (error) {
        // Told and not understood is told; only a connection that broke leaves it open.
        if (!GangflowError.is(error) || error.code !== 'E_PEER_CLOSED') this.#queue.shift()
        else if (!(await this.#again())) this.close()
      }
    }
    this.#telling = false
    for (const wake of this.#idle.splice(0)) wake()
  }

  async #again(): Promise<boolean> {
    for (const deadline = performance.now() + this.#options.leaseMs; !this.#over; await pause(AGAIN_MS)) {
      const left = deadline - performance.now()
      if (left <= 0) return false
      try {
        this.#peer = await this.#options.dial(Math.ceil(left))
        return true
      } catch (error) {
        // The owner may not have seen the end of the old one yet; one that is dead stays so.
        if (GangflowError.is(error) && error.code === 'E_GANG_REFUSED') return false
      }
    }
    return false
  }
}
