import { type Deferred, deferred } from '../../body/deferred.js'
import { type Peer, WithPayload } from '../../body/peer.js'
import { GangflowError } from '../../errors/base.js'
import type { Json } from '../../flow/values.js'
import { parentOf, weightOf } from '../tree.js'
import type { Part } from './collectives.js'

/** Milliseconds for which a part waits for others to go up with it. */
const TOGETHER_MS = 20

/** A member's part in a collective on its way up the tree; no timeout: the control's. */
export type RisingPart = Omit<Part, 'timeoutMs'> & { readonly timeoutMs: number | null }

/** Parts as they travel: their bytes are the payload, one after the other. */
export interface Rising {
  readonly parts: readonly (Omit<RisingPart, 'bytes'> & { readonly length: number })[]
  /** It wants the result; later parts from below for the same collective come without. */
  readonly wants: boolean
}

/** What comes of a collective, as the control said it. */
export interface Outcome {
  readonly result: Json | undefined
  readonly payload: Uint8Array
}

interface Entry {
  /** All parts so far, sent or not: they go to the control itself when the parent is lost. */
  readonly parts: RisingPart[]
  sent: number
  timer: NodeJS.Timeout | undefined
  readonly outcome: Deferred<Outcome>
}

export interface RelayOptions {
  /** How many members' parts come here, this one's with them. */
  readonly weight: number
  parent(): Promise<Peer>
  control(): Promise<Peer>
}

/** What passes parts on at a node of a gang with a tree; undefined at the control, and where there is no tree. */
export function relayOf(
  node: number,
  size: number,
  fanOut: number | undefined,
  to: (node: number) => Promise<Peer>,
): Relay | undefined {
  if (fanOut === undefined || node === 0) return undefined
  return new Relay({
    weight: weightOf(node, size, fanOut),
    parent: () => to(parentOf(node, fanOut)),
    control: () => to(0),
  })
}

/**
 * The collectives of a large gang, on a member between the control and others: what comes from its body and from below
 * goes up in few messages, and what comes of it goes down to each. The control sees the part of every member, so
 * that what it says of the missing and of mismatches is the same with and without a tree.
 */
export class Relay {
  readonly #options: RelayOptions
  readonly #entries = new Map<number, Entry>()
  #left: { node: number; calls: number }[] = []
  #leaving: NodeJS.Timeout | undefined
  /** The parent is lost: all goes to the control. */
  #alone = false

  constructor(options: RelayOptions) {
    this.#options = options
  }

  take(parts: readonly RisingPart[]): Promise<Outcome> {
    const { seq } = parts[0]!
    const entry = this.#entries.get(seq) ?? this.#open(seq)
    // One that comes again, over another way, counts once.
    for (const part of parts) {
      const known = entry.parts.findIndex(({ node }) => node === part.node)
      if (known < 0) entry.parts.push(part)
    }
    if (entry.parts.length >= this.#options.weight) this.#send(seq, entry)
    else entry.timer ??= setTimeout(() => this.#send(seq, entry), TOGETHER_MS)
    return entry.outcome.promise
  }

  /** A member waits no more. */
  withdraw(seq: number, node: number): void {
    const entry = this.#entries.get(seq)
    const at = entry?.parts.findIndex((part) => part.node === node) ?? -1
    if (!entry || at < 0) return
    entry.parts.splice(at, 1)
    if (at >= entry.sent) return
    entry.sent -= 1
    void this.#up()
      .then((peer) => peer.call('withdraw', { seq, node }))
      .catch(() => {})
  }

  /** Bodies have ended: told together with others. */
  leave(left: readonly { node: number; calls: number }[]): void {
    this.#left.push(...left)
    this.#leaving ??= setTimeout(() => {
      const told = this.#left
      this.#left = []
      this.#leaving = undefined
      const tell = async (peer: Promise<Peer>) => (await peer).call('left', { left: told })
      tell(this.#up())
        .catch(() => tell(this.#options.control()))
        .catch(() => {})
    }, TOGETHER_MS)
  }

  close(): void {
    clearTimeout(this.#leaving)
    for (const { timer } of this.#entries.values()) clearTimeout(timer)
  }

  #open(seq: number): Entry {
    const entry: Entry = { parts: [], sent: 0, timer: undefined, outcome: deferred<Outcome>() }
    entry.outcome.promise.catch(() => {})
    this.#entries.set(seq, entry)
    return entry
  }

  #up(): Promise<Peer> {
    return this.#alone ? this.#options.control() : this.#options.parent()
  }

  #send(seq: number, entry: Entry): void {
    clearTimeout(entry.timer)
    entry.timer = undefined
    const wants = entry.sent === 0
    const parts = entry.parts.slice(entry.sent)
    if (parts.length === 0) return
    entry.sent = entry.parts.length
    const call = async (peer: Promise<Peer>, rising: readonly RisingPart[]) =>
      (await peer).callFrame('rise', ...risingOf(rising, wants))
    const settle = async () => {
      try {
        return await call(this.#up(), parts)
      } catch (error) {
        if (!isLoss(error) || this.#alone) throw error
        this.#alone = true
        return call(this.#options.control(), entry.parts)
      }
    }
    const sent = settle()
    if (!wants) return void sent.catch(() => {})
    sent
      .then(entry.outcome.resolve, entry.outcome.reject)
      .finally(() => this.#entries.get(seq) === entry && this.#entries.delete(seq))
  }
}

function risingOf(parts: readonly RisingPart[], wants: boolean): [params: Json, request: { payload: Uint8Array }] {
  const heads = parts.map(({ bytes, ...part }) => ({ ...part, length: bytes.length }))
  const payload = parts.length === 1 ? parts[0]!.bytes : Buffer.concat(parts.map(({ bytes }) => bytes))
  return [{ parts: heads, wants } as unknown as Json, { payload }]
}

/** The parts that came in one message. */
export function partsOf({ parts }: Rising, payload: Uint8Array): RisingPart[] {
  let at = 0
  return parts.map(({ length, ...part }) => {
    const bytes = payload.subarray(at, at + length)
    at += length
    return { ...part, bytes }
  })
}

export const framed = ({ result, payload }: Outcome): WithPayload => new WithPayload(payload, result)

/** The way is lost, not the collective. */
const isLoss = (error: unknown): boolean =>
  GangflowError.is(error) && (error.code === 'E_PEER_CLOSED' || error.code === 'E_GANG_MEMBER_LOST')
