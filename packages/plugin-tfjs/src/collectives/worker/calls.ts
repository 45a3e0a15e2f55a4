import type { Kernel } from '../kernel.js'
import { type Algorithm, algorithmOf, type Round, ringOf, roundsOf } from '../plan.js'
import { elementSize, workBytes } from '../shape.js'
import type { OutLink } from './out-link.js'
import type { CallRequest, Layout } from './protocol.js'
import { Stream } from './stream.js'
import type { View } from './view.js'

/** What a call works with. */
export interface Floor {
  readonly rank: number
  readonly size: number
  readonly view: View
  readonly kernel: Kernel
  readonly layout: Layout
  readonly outs: ReadonlyMap<number, OutLink>
}

/** A call in work on this rank. */
export interface CallInWork {
  readonly request: CallRequest
  readonly algorithm: Algorithm
  /** What takes the bytes of each rank that sends some. */
  readonly streams: ReadonlyMap<number, Stream>
  start(): void
  /** All of a rank's bytes have come. */
  came(from: number): void
  /** Nothing is waited for any more. */
  readonly received: boolean
}

export function makeCall(request: CallRequest, floor: Floor): CallInWork {
  const algorithm = algorithmOf(request.shape, floor.size)
  return algorithm === 'ring' ? new RingCall(request, floor) : new DoublingCall(request, floor)
}

class RingCall implements CallInWork {
  readonly algorithm = 'ring'
  readonly streams: ReadonlyMap<number, Stream>
  received = false
  private readonly next: OutLink
  private readonly first: { readonly at: number; readonly bytes: number }

  constructor(
    readonly request: CallRequest,
    { rank, size, view, kernel, layout, outs }: Floor,
  ) {
    const { shape, at } = request
    const { first, incoming } = ringOf(shape, rank, size)
    const before = (rank + size - 1) % size
    this.first = first
    this.next = outs.get((rank + 1) % size)!
    const plan = { shape, size, at, segments: incoming, next: this.next }
    this.streams = new Map([[before, new Stream(plan, layout.incoming.get(before)!, view, kernel)]])
  }

  start(): void {
    const { sequence, shape, at } = this.request
    this.next.begin(sequence, shape, at + this.first.at, this.first.bytes)
  }

  came(): void {
    this.received = true
  }
}

const known = new Map<string, readonly Round[]>()
function rounds(rank: number, size: number): readonly Round[] {
  const key = `${rank}/${size}`
  if (!known.has(key)) known.set(key, roundsOf(rank, size))
  return known.get(key)!
}

class DoublingCall implements CallInWork {
  readonly algorithm = 'doubling'
  readonly streams: ReadonlyMap<number, Stream>
  received = false
  private readonly rounds: readonly Round[]
  private readonly bytes: number
  private index = 0
  private sent = false
  private readonly arrived = new Set<number>()

  constructor(
    readonly request: CallRequest,
    private readonly floor: Floor,
  ) {
    const { rank, size, view, kernel, layout } = floor
    const { shape } = request
    this.rounds = rounds(rank, size)
    this.bytes = workBytes(shape, size)
    const segments = [{ at: 0, bytes: this.bytes, mode: 'copy' as const, forward: false }]
    const from = this.rounds.flatMap((round) => (round.from === undefined ? [] : [round.from]))
    this.streams = new Map(
      from.map((other) => {
        const space = layout.incoming.get(other)!
        return [other, new Stream({ shape, size, at: space.landing, segments, next: undefined }, space, view, kernel)]
      }),
    )
  }

  start(): void {
    this.advance()
  }

  came(from: number): void {
    this.arrived.add(from)
    this.advance()
  }

  private advance(): void {
    const { sequence, shape, at } = this.request
    const { kernel, size, outs } = this.floor
    for (let round = this.rounds[this.index]; round; round = this.rounds[this.index]) {
      if (!this.sent) {
        this.sent = true
        const reduces = shape.operation === 'allReduce' || shape.operation === 'reduceScatter'
        if (round.finish && reduces && shape.reduction === 'mean') kernel.divide(shape.kind, at, this.bytes, size)
        if (round.to !== undefined) outs.get(round.to)!.small(sequence, shape, at, this.bytes)
      }
      if (round.from !== undefined) {
        if (!this.arrived.has(round.from)) return
        this.joinWith(round, this.floor.layout.incoming.get(round.from)!.landing)
      }
      this.index += 1
      this.sent = false
    }
    this.received = true
  }

  /** Both sides of an exchange join in the same order, so that even NaN has the same bits on both. */
  private joinWith({ mineFirst, theirs }: Round, landing: number): void {
    const { shape, at } = this.request
    const { view, kernel } = this.floor
    const { bytes } = this
    const all = theirs === 'all'
    switch (shape.operation) {
      case 'barrier':
        break
      case 'broadcast':
        if (all || theirs.includes(shape.from)) view.move(at, landing, bytes)
        break
      case 'allGather': {
        const block = shape.length * elementSize[shape.kind]
        if (all) view.move(at, landing, bytes)
        else for (const rank of theirs) view.move(at + rank * block, landing + rank * block, block)
        break
      }
      default:
        if (all) view.move(at, landing, bytes)
        else if (mineFirst) kernel.join(shape.reduction, shape.kind, at, landing, bytes)
        else {
          kernel.join(shape.reduction, shape.kind, landing, at, bytes)
          view.move(at, landing, bytes)
        }
    }
  }
}
