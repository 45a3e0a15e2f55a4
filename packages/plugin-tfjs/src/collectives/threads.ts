import { availableParallelism } from 'node:os'
import { isMainThread } from 'node:worker_threads'
import { GangflowError } from '@gangflow/core'
import { Caller, type Prepared } from './caller.js'
import type { Collectives } from './contract.js'
import { CLOSED, errorOf } from './failure.js'
import { type Kernel, makeKernel } from './kernel.js'
import { Arena, type Ground, LINE, makeMemory } from './memory.js'
import { type CallShape, describe, elementSize, HEADER_BYTES, readHeader, sameShape, writeHeader } from './shape.js'
import { partOf } from './split.js'
import type { SharedMemory } from './wasm.js'
import type { FailureFacts } from './worker/protocol.js'
import { View } from './worker/view.js'

/** What the threads of one group share; made by one, given to the others as `workerData` or by a message. */
export interface ThreadShare {
  readonly size: number
  readonly memory: SharedMemory
  readonly state: SharedArrayBuffer
}

/** Words of the state: the barrier, the end of what is handed out (in cache lines), then two words a rank, then its call. */
const COUNT = 0
const GENERATION = 1
const TOP = 2
const RANKS = 4
const PRESENT = 0
const LEFT = 1
const LOST = 2
/** Its time was over; so is everyone's. */
const LATE = 3
/** A rank's call: its header, and its place in the memory. */
const ENTRY_BYTES = HEADER_BYTES + 8

const stateBytes = (size: number) => (RANKS + 2 * size) * 4
const entriesAt = (size: number) => Math.ceil(stateBytes(size) / 8) * 8

/** What `size` threads of this process share to exchange arrays by `joinThreads`. */
export function shareThreads(size: number): ThreadShare {
  if (!Number.isInteger(size) || size < 1)
    throw new GangflowError({
      code: 'E_TF_OPTIONS',
      what: `shareThreads was told ${size} threads`,
      fix: 'give the number of threads, 1 or more',
    })
  return {
    size,
    memory: makeMemory(LINE),
    state: new SharedArrayBuffer(entriesAt(size) + size * ENTRY_BYTES),
  }
}

/**
 * Collectives between threads of one process, over one memory: each thread joins its part of the elements, and nothing is
 * sent. Each rank is taken by one thread, once. Every call blocks its thread until all have made it, the asynchronous ones
 * too. A thread that ends by an exception or an exit is told to the others; one that was terminated from outside, or ran out
 * of memory, is not: calls then end by their `timeout`.
 */
export function joinThreads(
  share: ThreadShare,
  rank: number,
  options: { readonly timeoutMs?: number } = {},
): Collectives {
  return new ThreadCollectives(share, rank, options.timeoutMs)
}

/** Says for a thread that ended that it did: who watches over it knows also where it could not say so itself. */
export function markEnded({ size, state }: ThreadShare, rank: number): void {
  const words = new Int32Array(state, 0, stateBytes(size) / 4)
  Atomics.store(words, RANKS + 2 * rank, LOST)
  Atomics.notify(words, GENERATION)
}

/** Looks at the others' state this often while it waits. */
const LOOK_MS = 200
const SPINS = 2000
/** Worked on at a time by all ranks' arrays: it stays in the processor's cache. */
const BLOCK_BYTES = 64 * 1024

const sharedGround = (state: Int32Array): Ground => ({
  reserve: (bytes) => (Atomics.add(state, TOP, bytes / LINE) >>> 0) * LINE,
  retreat: () => false,
})

export class ThreadCollectives extends Caller {
  readonly transport = 'threads'
  private sequence = 0
  private failure: FailureFacts | undefined
  private closed = false
  private readonly state: Int32Array
  private readonly entries: DataView
  private readonly kernel: Kernel
  private readonly view: View
  private readonly spins: number
  private readonly gone = () => this.mark(LOST)

  constructor(
    private readonly share: ThreadShare,
    rank: number,
    timeoutMs: number | undefined,
    /** Whether someone else says it when this thread ends: see `markEnded`. */
    isWatched = false,
  ) {
    const state = new Int32Array(share.state, 0, stateBytes(share.size) / 4)
    super(rank, share.size, new Arena(share.memory, sharedGround(state)), timeoutMs)
    this.state = state
    this.entries = new DataView(share.state, entriesAt(share.size))
    this.kernel = makeKernel(share.memory)
    this.view = new View(share.memory)
    this.spins = share.size <= availableParallelism() ? SPINS : 0
    if (!isMainThread && !isWatched) process.once('exit', this.gone)
  }

  /** Begins anew after a failure, with other threads in the places of all others, which have ended. */
  renew(): void {
    for (let word = 0; word < this.state.length; word++) if (word !== TOP) Atomics.store(this.state, word, 0)
    this.sequence = 0
    this.failure = undefined
  }

  async close(): Promise<void> {
    if (this.closed) return
    this.closed = true
    process.off('exit', this.gone)
    this.mark(LEFT)
  }

  protected ready(): void {
    if (this.closed) throw errorOf(CLOSED)
    if (this.failure) throw errorOf(this.failure)
  }

  protected async perform<T>(call: Prepared<T>, timeoutMs: number, signal: AbortSignal | undefined): Promise<T> {
    signal?.throwIfAborted()
    return this.performSync(call, timeoutMs)
  }

  protected performSync<T>(call: Prepared<T>, timeoutMs: number): T {
    this.sequence += 1
    const deadline = performance.now() + timeoutMs
    const entry = this.rank * ENTRY_BYTES
    writeHeader(this.entries, entry, this.sequence, call.shape)
    this.entries.setFloat64(entry + HEADER_BYTES, call.at, true)
    Atomics.store(this.state, RANKS + 2 * this.rank + 1, this.sequence | 0)
    this.meet(call.shape, deadline)
    const places = this.places(call.shape)
    this.work(call.shape, places)
    this.meet(call.shape, deadline)
    return call.finish()
  }

  /** Where each rank's work space is; all look at the same entries, and so all find the same mismatch. */
  private places(shape: CallShape): number[] {
    return Array.from({ length: this.size }, (_, rank) => {
      const at = rank * ENTRY_BYTES
      const bytes = new Uint8Array(this.share.state, entriesAt(this.size) + at, HEADER_BYTES)
      const other = readHeader(bytes)!
      if (!sameShape(other.shape, shape))
        this.fail({
          code: 'E_TF_CALL_MISMATCH',
          what: `call #${this.sequence} is not the same on all ranks: rank ${rank} asked for ${describe(other.shape)}, rank ${this.rank} for ${describe(shape)}`,
          fix: 'make the same calls in the same order, with the same lengths and kinds, in every thread',
          rank,
        })
      return this.entries.getFloat64(at + HEADER_BYTES, true)
    })
  }

  private work(shape: CallShape, places: readonly number[]): void {
    const { rank, view } = this
    const element = elementSize[shape.kind]
    const bytes = shape.length * element
    switch (shape.operation) {
      case 'barrier':
        return
      case 'broadcast':
        if (rank !== shape.from) view.move(places[rank]!, places[shape.from]!, bytes)
        return
      case 'allGather':
        for (const [other, place] of places.entries())
          if (other !== rank) view.move(place + rank * bytes, places[rank]! + rank * bytes, bytes)
        return
      default: {
        const { begin, end } = partOf(shape.length, this.size, rank)
        const to = shape.operation === 'allReduce' ? places.slice(1) : rank === 0 ? [] : [places[rank]!]
        for (let at = begin * element; at < end * element; at += BLOCK_BYTES)
          this.block(shape, places, to, at, Math.min(BLOCK_BYTES, end * element - at))
      }
    }
  }

  /** Joined in the order of the ranks, where rank 0's lies, then copied to those who get it. */
  private block(shape: CallShape, places: readonly number[], to: readonly number[], at: number, bytes: number): void {
    const [first, ...others] = places
    for (const place of others) this.kernel.join(shape.reduction, shape.kind, first! + at, place + at, bytes)
    if (shape.reduction === 'mean') this.kernel.divide(shape.kind, first! + at, bytes, this.size)
    for (const place of to) this.view.move(place + at, first! + at, bytes)
  }

  /** A barrier. */
  private meet(shape: CallShape, deadline: number): void {
    const { state, size } = this
    const generation = Atomics.load(state, GENERATION)
    if (Atomics.add(state, COUNT, 1) + 1 === size) {
      Atomics.store(state, COUNT, 0)
      Atomics.add(state, GENERATION, 1)
      Atomics.notify(state, GENERATION)
      return
    }
    for (let spin = 0; spin < this.spins; spin++) if (Atomics.load(state, GENERATION) !== generation) return
    for (;;) {
      // Met comes first: what is done is no failure, whatever happened right after.
      if (Atomics.load(state, GENERATION) !== generation) return
      this.lookAround(shape)
      const left = deadline - performance.now()
      if (left <= 0) {
        this.mark(LATE)
        this.late(shape, this.rank)
      }
      Atomics.wait(state, GENERATION, generation, Math.min(left, LOOK_MS))
    }
  }

  private lookAround(shape: CallShape): void {
    for (let rank = 0; rank < this.size; rank++) {
      const is = Atomics.load(this.state, RANKS + 2 * rank)
      if (is === PRESENT) continue
      if (is === LATE) this.late(shape, rank)
      const call = `call #${this.sequence}, ${describe(shape)}`
      const calls = Atomics.load(this.state, RANKS + 2 * rank + 1)
      this.fail(
        is === LEFT
          ? {
              code: 'E_TF_RANK_LEFT',
              what: `rank ${rank} closed its collectives after ${calls} calls, and does not take part in ${call}`,
              fix: 'make the same number of calls in every thread before `close()`',
              rank,
            }
          : {
              code: 'E_TF_RANK_LOST',
              what: `the thread of rank ${rank} ended before ${call}, was done`,
              fix: "see that thread's own error: the 'error' event of its Worker has it",
              rank,
            },
      )
    }
  }

  private late(shape: CallShape, rank: number): never {
    const calls = Array.from({ length: this.size }, (_, other) => Atomics.load(this.state, RANKS + 2 * other + 1))
    const behind = calls.flatMap((made, other) =>
      made < this.sequence ? [`rank ${other} has made ${made} calls`] : [],
    )
    return this.fail({
      code: 'E_TF_CALL_TIMEOUT',
      what: `call #${this.sequence}, ${describe(shape)}, was not done in time on rank ${rank}: ${behind.join(', ') || 'every rank has made it, and one is still at work'}`,
      fix: 'make every call in every thread; give a longer `timeout` where one computes for longer',
    })
  }

  private fail(facts: FailureFacts): never {
    this.failure = facts
    throw errorOf(facts)
  }

  private mark(as: number): void {
    Atomics.store(this.state, RANKS + 2 * this.rank, as)
    Atomics.notify(this.state, GENERATION)
  }
}
