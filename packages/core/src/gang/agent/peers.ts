import type { Socket } from 'node:net'
import { Peer } from '../../body/peer.js'
import { GangflowError } from '../../errors/base.js'
import type { BareWays, Connection, Transport } from '../contract.js'
import { answer, type Purpose } from '../handshake.js'
import type { Formation } from '../protocol.js'

/** Milliseconds that a peer has to answer the handshake, and more for each member: all may dial the control at once. */
const HANDSHAKE_MS = 15_000
const RUSH_MS = 100

/** As a transport's bare ways, to nodes. */
export interface PeerDoors extends Pick<BareWays, 'openDoor'> {
  enterDoor(node: number, token: string, signal: AbortSignal): Promise<Socket>
}

/** This agent's ways to the others (and to itself, by the same way): dialled at first need, kept. */
export class Peers {
  readonly #open = new Map<number, Promise<Peer>>()
  readonly #events: (node: number, event: string, data: never) => void

  constructor(
    private readonly transport: Transport,
    private readonly key: Uint8Array,
    private readonly me: string,
    private readonly formation: Formation,
    onEvent: (node: number, event: string, data: never) => void,
  ) {
    this.#events = onEvent
  }

  /** The connection for calls to a node's services. */
  to(node: number): Promise<Peer> {
    const known = this.#open.get(node)
    if (known) return known
    const fresh = this.dial(node, 'peer').then(({ stream }) => {
      const peer = new Peer(stream, {
        name: `the agent of node ${node}`,
        onEvent: (event, data) => this.#events(node, event, data as never),
      })
      void peer.closed.then(() => this.#open.delete(node))
      return peer
    })
    fresh.catch(() => this.#open.delete(node))
    this.#open.set(node, fresh)
    return fresh
  }

  /** A connection for one purpose; `E_GANG_MEMBER_LOST` names a node that does not answer. `own`: on no shared way. */
  async dial(node: number, purpose: Purpose, own = false): Promise<Connection> {
    const entry = this.formation.roster.entries[node]
    const address = entry && this.formation.listens[entry.memberId]
    if (!entry || !address) {
      throw new GangflowError({
        code: 'E_GANG_NODE',
        what: `there is no node ${node} in epoch ${this.formation.epoch}`,
      })
    }
    const signal = AbortSignal.timeout(HANDSHAKE_MS + RUSH_MS * this.formation.roster.entries.length)
    try {
      const connection = await this.transport.connect(address, { signal, own })
      await answer(connection.stream, this.key, { member: this.me, purpose, epoch: this.formation.epoch }, signal)
      return connection
    } catch (cause) {
      throw new GangflowError(
        {
          code: 'E_GANG_MEMBER_LOST',
          what: `node ${node} (${entry.host}) does not answer`,
          fix: 'the verdict says how it ended',
          node,
          host: entry.host,
        },
        { cause },
      )
    }
  }

  /** Ways without a cipher of their own, where this gang has such. */
  get bare(): PeerDoors | undefined {
    const { bare } = this.transport
    return (
      bare && {
        openDoor: (signal) => bare.openDoor(signal),
        enterDoor: (node, token, signal) =>
          bare.enterDoor(this.formation.listens[this.formation.roster.entries[node]!.memberId]!, token, signal),
      }
    )
  }

  /** All members are on this host, as this user, with this disk. */
  get onOneHost(): boolean {
    return this.transport.kind === 'unix'
  }

  async close(): Promise<void> {
    for (const open of this.#open.values()) (await open.catch(() => undefined))?.close()
  }
}
