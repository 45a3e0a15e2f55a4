import type { Duplex } from 'node:stream'
import type { Peer } from '../../body/peer.js'
import type { RawPort } from './tokens.js'

/** Streams that a channel may have waiting for a body that does not listen yet. */
const QUEUE = 64

/** Incoming streams by channel, until this member's body takes them. */
export class Channels {
  readonly #waiting = new Map<string, { stream: Duplex; node: number }[]>()
  readonly #listening = new Map<string, Peer>()
  readonly #raw: RawPort

  constructor(raw: RawPort) {
    this.#raw = raw
  }

  arrive(channel: string, node: number, stream: Duplex): void {
    const body = this.#listening.get(channel)
    if (body && !body.isClosed) {
      this.#hand(body, channel, node, stream)
      return
    }
    const queue = this.#waiting.get(channel) ?? []
    this.#waiting.set(channel, queue)
    if (queue.length >= QUEUE) stream.destroy()
    else queue.push({ stream, node })
  }

  listen(channel: string, body: Peer): void {
    this.#listening.set(channel, body)
    for (const { stream, node } of this.#waiting.get(channel) ?? []) this.#hand(body, channel, node, stream)
    this.#waiting.delete(channel)
  }

  unlisten(channel: string): void {
    this.#listening.delete(channel)
  }

  close(): void {
    for (const queue of this.#waiting.values()) for (const { stream } of queue) stream.destroy()
    this.#waiting.clear()
  }

  #hand(body: Peer, channel: string, node: number, stream: Duplex): void {
    body.event('gang.stream', { channel, node, token: this.#raw.offer(stream), socket: this.#raw.socket })
  }
}
