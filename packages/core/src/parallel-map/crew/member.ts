import { buffersOfPacked, type Packed } from '../codec.js'
import type { Job } from '../job/job.js'
import type { Chunk } from '../job/source.js'
import { buffersToMove } from '../move.js'
import type { Program, SharedItems } from '../protocol.js'
import { Flying } from './flying.js'
import type { Held, WorkerHandle } from './handle.js'

/** Why the pool ended a worker, and for which item. */
export interface Sentence {
  readonly why: 'timeout' | 'memory' | 'stop' | 'resize'
  readonly held?: Held
}

/** One worker of a crew and the batches that it has, oldest first. */
export class Member {
  ready = false
  /** Takes no more work. */
  leaving = false
  /** Keeps the program alive. */
  held = false
  sentence: Sentence | undefined
  readonly flying = new Map<number, Flying>()
  readonly #programs = new Set<number>()
  readonly #since = new Map<number, Held & { readonly since: number }>()
  #batch = 0

  constructor(
    readonly worker: number,
    readonly handle: WorkerHandle,
  ) {}

  begin(init: Program | undefined): void {
    this.handle.post({ k: 'init', program: init }, [])
  }

  /** Sends a chunk; throws where an item cannot be cloned, with nothing sent. */
  send(job: Job, chunk: Chunk, packed: Packed | SharedItems): void {
    if (!this.#programs.has(job.id)) {
      this.handle.post({ k: 'program', job: job.id, program: job.spec.program, options: job.spec.options }, [])
      this.#programs.add(job.id)
    }
    const buffers = packed.k !== 'shared' && this.handle.moves ? buffersToMove(chunk.items, false) : []
    const moved = buffers.length > 0
    const batch = this.#batch + 1
    this.handle.post(
      { k: 'run', job: job.id, batch, first: chunk.first, items: packed, moved },
      packed.k === 'shared' ? buffers : [...buffersOfPacked(packed), ...buffers],
    )
    this.#batch = batch
    this.flying.set(batch, new Flying(batch, job, chunk, moved, performance.now()))
    job.sent(chunk)
  }

  drop(job: Job): void {
    if (this.#programs.delete(job.id)) this.handle.post({ k: 'drop', job: job.id }, [])
  }

  /** Takes back what the worker has not begun; gives the batches that are the crew's again. */
  takeBack(of: (flying: Flying) => boolean): Flying[] {
    const back: Flying[] = []
    for (const flying of [...this.flying.values()]) {
      if (!of(flying) || !this.handle.takeBack(flying.number)) continue
      this.flying.delete(flying.number)
      back.push(flying)
    }
    return back
  }

  /** What it holds, each with the time since when it was seen there (monotonic milliseconds). */
  heldSince(now: number): (Held & { readonly since: number })[] {
    const held = this.handle.held().filter(({ batch }) => this.flying.has(batch))
    const lanes = new Set<number>()
    for (const one of held) {
      lanes.add(one.lane)
      const known = this.#since.get(one.lane)
      if (known?.batch !== one.batch || known.position !== one.position)
        this.#since.set(one.lane, { ...one, since: now })
    }
    for (const lane of this.#since.keys()) if (!lanes.has(lane)) this.#since.delete(lane)
    return [...this.#since.values()]
  }
}
