import type { Duplex } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import { Peer } from '../../body/peer.js'
import { GangflowError } from '../../errors/base.js'
import type { Json } from '../../flow/values.js'
import type { Connection } from '../contract.js'
import type { Late, StopOrder } from '../protocol.js'
import type { NeighbourSigns } from '../silence.js'
import { childrenOf, parentOf, speaksToOwner } from '../tree.js'
import type { Loss } from './vigil.js'

/** Milliseconds after the epoch's opening until the first is sent: the start of a gang has better to do; of a large one longer. */
const DELAY_MS = 1_000
const SPREAD_MS = 2
/** Share of a lease of silence that is told further: a beat and a half. Over three steps it is known within a lease. */
const QUIET = 0.3

export interface PulsesOptions {
  readonly node: number
  readonly size: number
  readonly fanOut: number
  /** Members further down say that they live to their parents, and these to the owner. */
  readonly tree: boolean
  readonly leaseMs: number
  /** A connection to a node that shares its way with nothing. */
  dial(node: number): Promise<Connection>
  /** Milliseconds since the owner was heard. */
  ownerAgeMs(): number
  /** The parent says when the owner lived (`performance.now()`). */
  claimed(ownerAt: number): void
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
  /** Who was late below it, as it said at `heardAt`. */
  late?: readonly Late[]
}

/** What is known of the parent. */
export interface Upward {
  /** `performance.now()` of its last sign of life; undefined while there is no connection. */
  readonly heardAt: number | undefined
}

/**
 * Signs of life between members, up and down a tree over their indices (O(N) in all): by them a member tells a launcher
 * that is paused from a host that is cut off. Each says how long ago it heard the owner.
 */
export class Pulses {
  readonly #options: PulsesOptions
  readonly #neighbours = new Map<number, Neighbour>()
  readonly #over = new AbortController()
  /** `performance.now()` of the last word to those below. */
  #passedAt = 0

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

  /** A sign of life to all neighbours; in a tree to the parent, and to those below when there was no news for them. */
  beat(): void {
    const { node, tree, leaseMs, ownerAgeMs } = this.#options
    const now = performance.now()
    const signs = { ownerAgeMs: ownerAgeMs(), ...(tree ? { late: this.late() ?? [] } : {}) }
    for (const [other, { peer }] of this.#neighbours) if (!tree || other < node) peer?.event('pulse', signs)
    if (tree && now - this.#passedAt > leaseMs * QUIET) this.pass()
  }

  /** In a tree: tells those below at once that the owner lives, so that it is old news to nobody. */
  pass(): void {
    const { node, tree, ownerAgeMs } = this.#options
    if (!tree) return
    this.#passedAt = performance.now()
    const signs = { ownerAgeMs: ownerAgeMs() }
    for (const [other, { peer }] of this.#neighbours) if (other > node) peer?.event('pulse', signs)
  }

  /** Who says to its parent that it lives: what is known of that one. Undefined: this member tells the owner itself. */
  upward(): Upward | undefined {
    const { node, fanOut, tree } = this.#options
    if (!tree || speaksToOwner(node, fanOut)) return undefined
    const parent = this.#neighbours.get(parentOf(node, fanOut))
    return { heardAt: parent?.peer && !parent.peer.isClosed ? parent.heardAt : undefined }
  }

  /** Of all below: who has said nothing for a while. Undefined without a tree. */
  late(): Late[] | undefined {
    const { node, tree, leaseMs } = this.#options
    if (!tree) return undefined
    const now = performance.now()
    return [...this.#neighbours].flatMap(([other, { heardAt, late = [] }]): Late[] => {
      if (other < node) return []
      const silence = now - heardAt
      if (silence > leaseMs * QUIET) return [[other, silence]]
      return late.map(([below, ms]) => [below, ms + silence])
    })
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
        if (event === 'pulse') {
          const { ownerAgeMs, late } = data as { ownerAgeMs: number; late?: Late[] }
          neighbour.ownerAt = at - Number(ownerAgeMs)
          if (node > this.#options.node) neighbour.late = late ?? []
          else if (this.#options.tree) {
            this.#options.claimed(neighbour.ownerAt)
            this.pass()
          }
        } else if (event === 'leaving') {
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
