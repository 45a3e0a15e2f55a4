import { type CallShape, elementSize, workBytes } from './shape.js'
import { partOf } from './split.js'

/**
 * How a call's bytes travel, as pure functions of rank and size.
 *
 * Ring: every rank sends its first bytes to the next rank, and what comes from the one before is worked into its place
 * and passed on, byte by byte as it arrives. An allReduce is one stream of twice (size - 1) parts: those to be added,
 * then the finished ones. 2·(size-1)/size of the data crosses each connection, whatever the size.
 *
 * Doubling: for what is small. Ranks that are 1, 2, 4, … apart exchange all they have; log2(size) rounds. Ranks beyond
 * a power of two give theirs to a neighbour before, and get the result after.
 */
export type Algorithm = 'ring' | 'doubling'

/** Up to so many bytes of work a call goes by doubling. Part of the protocol: all ranks must decide alike. */
export const SMALL_BYTES = 64 * 1024

export function algorithmOf(shape: CallShape, size: number): Algorithm {
  return workBytes(shape, size) <= SMALL_BYTES ? 'doubling' : 'ring'
}

/** What is done with arriving bytes: put into place, joined with what is there, or joined for the last time. */
export type Mode = 'copy' | 'join' | 'finish'

/** Bytes in the call's work space. */
export interface Span {
  readonly at: number
  readonly bytes: number
}

export interface Segment extends Span {
  readonly mode: Mode
  /** Passed on to the next rank when it is worked in. */
  readonly forward: boolean
}

export interface Ring {
  /** What this rank sends without waiting. */
  readonly first: Span
  /** What comes from the rank before, in order. */
  readonly incoming: readonly Segment[]
}

const nothing: Span = { at: 0, bytes: 0 }
const modulo = (value: number, size: number) => ((value % size) + size) % size

export function ringOf(shape: CallShape, rank: number, size: number): Ring {
  const element = elementSize[shape.kind]
  const total = workBytes(shape, size)
  const part = (index: number): Span => {
    const { begin, end } = partOf(total / element, size, modulo(index, size))
    return { at: begin * element, bytes: (end - begin) * element }
  }
  const steps = Array.from({ length: size - 1 }, (_, step) => step)
  const last = size - 2
  const segment = (span: Span, mode: Mode, forward: boolean): Segment => ({ ...span, mode, forward })
  switch (shape.operation) {
    case 'barrier':
      return { first: nothing, incoming: [] }
    case 'broadcast': {
      const all = { at: 0, bytes: total }
      if (rank === shape.from) return { first: all, incoming: [] }
      return { first: nothing, incoming: [segment(all, 'copy', modulo(rank + 1, size) !== shape.from)] }
    }
    case 'allGather':
      return {
        first: part(rank),
        incoming: steps.map((step) => segment(part(rank - 1 - step), 'copy', step !== last)),
      }
    case 'reduceScatter':
      return {
        first: part(rank - 1),
        incoming: steps.map((step) => segment(part(rank - 2 - step), step === last ? 'finish' : 'join', step !== last)),
      }
    case 'allReduce':
      return {
        first: part(rank),
        incoming: [
          ...steps.map((step) => segment(part(rank - 1 - step), step === last ? 'finish' : 'join', true)),
          ...steps.map((step) => segment(part(rank - step), 'copy', step !== last)),
        ],
      }
  }
}

/** One round of doubling on a rank. */
export interface Round {
  readonly to?: number
  readonly from?: number
  /** The work of this rank stands before that of `from` in the order of joining. */
  readonly mineFirst: boolean
  /** Whose data `from` has by then; `all` where it sends the result. */
  readonly theirs: readonly number[] | 'all'
  /** Before this round's sending: all data is in (a mean is divided). */
  readonly finish: boolean
}

export function roundsOf(rank: number, size: number): readonly Round[] {
  const power = 2 ** Math.floor(Math.log2(size))
  const folded = size - power
  /** The rank that stands for a place among the power of two. */
  const real = (place: number) => (place < folded ? place * 2 : place + folded)
  const has = (place: number) => (place < folded ? [place * 2, place * 2 + 1] : [place + folded])
  if (rank < 2 * folded && rank % 2 === 1)
    return [
      { to: rank - 1, mineFirst: false, theirs: [], finish: false },
      { from: rank - 1, mineFirst: false, theirs: 'all', finish: false },
    ]
  const place = rank < 2 * folded ? rank / 2 : rank - folded
  const rounds: Round[] = []
  if (place < folded) rounds.push({ from: rank + 1, mineFirst: true, theirs: [rank + 1], finish: false })
  for (let mask = 1; mask < power; mask *= 2) {
    const other = place ^ mask
    const block = other - (other % mask)
    const theirs = Array.from({ length: mask }, (_, index) => has(block + index)).flat()
    rounds.push({ to: real(other), from: real(other), mineFirst: place < other, theirs, finish: false })
  }
  rounds.push({ ...(place < folded ? { to: rank + 1 } : {}), mineFirst: true, theirs: [], finish: true })
  return rounds
}

/** Whether a call's bytes go directly from one rank to another. */
export function passes(algorithm: Algorithm, from: number, to: number, size: number): boolean {
  if (algorithm === 'ring') return to === (from + 1) % size
  return roundsOf(from, size).some((round) => round.to === to)
}

/** The ranks that a rank is connected with for data: from whom it receives, and to whom it sends. */
export function neighbours(rank: number, size: number): { readonly from: number[]; readonly to: number[] } {
  if (size === 1) return { from: [], to: [] }
  const rounds = roundsOf(rank, size)
  const known = (ranks: (number | undefined)[]) => [...new Set(ranks.filter((one) => one !== undefined))]
  return {
    from: known([(rank + size - 1) % size, ...rounds.map(({ from }) => from)]),
    to: known([(rank + 1) % size, ...rounds.map(({ to }) => to)]),
  }
}

/** Bytes of a call that come from a rank, which is one that `passes` to this one. */
export function incomingBytes(shape: CallShape, rank: number, size: number): number {
  if (algorithmOf(shape, size) === 'doubling') return workBytes(shape, size)
  return ringOf(shape, rank, size).incoming.reduce((sum, { bytes }) => sum + bytes, 0)
}
