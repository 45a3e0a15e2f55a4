import type { Duplex } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import { Peer } from '../../body/peer.js'
import { GangflowError } from '../../errors/base.js'
import type { Json } from '../../flow/values.js'
import type { Connection } from '../contract.js'
import type { StopOrder } from '../protocol.js'
import type { NeighbourSigns } from '../silence.js'
import { childrenOf, parentOf } from '../tree.js'
import type { Loss } from './vigil.js'

/** Milliseconds after the epoch's opening until the first is sent: the start of a gang has better to do; of a large one longer. */
const DELAY_MS = 1_000
const SPREAD_MS = 2

export interface PulsesOptions {
  readonly node: number
  readonly size: number
  readonly fanOut: number
  readonly leaseMs: number
  /** A connection to a node that shares its way with nothing. */
  dial(node: number): Promise<Connection>
  /** Milliseconds since the owner was heard. */
  ownerAgeMs(): number
  /** A neighbour has said something: it may be news. */
  heard(): void
  /** The parent says that the gang is to stop. */
  stop(order: StopOrder): void
}

interface Neighbour {
  peer: Peer | undefined
  /** The opening of the epoch counts: members reach each other, or there is no gang. */
  heardAt: number
  ownerAt: number
  gone: boolean
  /** Why it ends itself, as it said. */
  loss?: Loss
}

/**
 * Signs of life between members, up and down a tree over their indices (O(N) in all): by them a member tells a launcher
 * that is paused from a host that is cut off. Each says how long ago it heard the owner.
 */
export class Pulses {
  readonly #options: PulsesOptions
  readonly #neighbours = new Map<number, Neighbour>()
  readonly #over = new AbortController()

  constructor(options: PulsesOptions) {
    this.#options = options
    const { node, size, fanOut } = options
    const now = performance.now()
    const expect = (other: number) =>
      this.#neighbours.set(other, { peer: undefined, heardAt: now, ownerAt: 0, gone: false })
    for (const child of childrenOf(node, size, fanOut)) expect(child)
    if (node === 0) return
    const parent = parentOf(node, fanOut)
    expect(parent)
    void this.#keepUp(parent)
  }

  /** A child's connection; the newest counts. */
  accept(node: number, stream: Duplex): void {
    this.#attach(node, stream)
  }

  signs(): NeighbourSigns[] {
    return [...this.#neighbours].map(([node, { heardAt, ownerAt, gone }]) => ({ node, heardAt, ownerAt, gone }))
  }

  beat(): void {
    const ownerAgeMs = this.#options.ownerAgeMs()
    for (const { peer } of this.#neighbours.values()) peer?.event('pulse', { ownerAgeMs })
  }

  /** This process itself stood still: nobody is accused for that time. */
  forgive(now: number): void {
    for (const one of this.#neighbours.values()) one.heardAt = now
  }

  /** This member has lost its gang and ends: its neighbours need not find out by silence. */
  leave(loss: Loss): void {
    for (const { peer } of this.#neighbours.values()) peer?.event('leaving', loss as unknown as Json)
  }

  /** Hands the order to stop on to those below. */
  stop(order: StopOrder): void {
    const { node } = this.#options
    for (const [other, { peer }] of this.#neighbours) if (other > node) peer?.event('stop', order as unknown as Json)
  }

  /** How a neighbour that ends itself lost the gang, where that is as true of this member. */
  told(): Loss | undefined {
    return [...this.#neighbours.values()].find(({ loss }) => loss && loss.kind !== 'cut-off')?.loss
  }

  close(): void {
    this.#over.abort()
    for (const { peer } of this.#neighbours.values()) peer?.close()
  }

  /** Dials the parent, again and again as long as this epoch lasts. */
  async #keepUp(node: number): Promise<void> {
    const { signal } = this.#over
    const { leaseMs, size, dial } = this.#options
    const first = Math.min(DELAY_MS, leaseMs / 5) + Math.random() * Math.min(size * SPREAD_MS, leaseMs / 2)
    const wait = (ms: number) => pause(ms, undefined, { signal, ref: false }).catch(() => {})
    for (await wait(first); !signal.aborted; await wait(leaseMs / 5)) {
      try {
        const { stream } = await dial(node)
        if (signal.aborted) {
          stream.destroy()
          return
        }
        await this.#attach(node, stream).closed
      } catch (error) {
        const { cause } = error as Error
        const known = this.#neighbours.get(node)
        if (known && GangflowError.is(cause) && cause.code === 'E_GANG_REFUSED') {
          known.gone = true
          this.#options.heard()
        }
      }
    }
  }

  #attach(node: number, stream: Duplex): Peer {
    const known = this.#neighbours.get(node)
    known?.peer?.close()
    const now = performance.now()
    const neighbour: Neighbour = { peer: undefined, heardAt: now, ownerAt: known?.ownerAt ?? 0, gone: false }
    const peer = new Peer(stream, {
      name: `the agent of node ${node}`,
      onEvent: (event, data) => {
        const at = performance.now()
        neighbour.heardAt = at
        if (event === 'pulse') neighbour.ownerAt = at - Number((data as { ownerAgeMs: number }).ownerAgeMs)
        else if (event === 'leaving') {
          neighbour.gone = true
          neighbour.loss = data as unknown as Loss
        } else if (event === 'stop' && node < this.#options.node) this.#options.stop(data as unknown as StopOrder)
        this.#options.heard()
      },
    })
    neighbour.peer = peer
    this.#neighbours.set(node, neighbour)
    peer.event('pulse', { ownerAgeMs: this.#options.ownerAgeMs() })
    return peer
  }
}
