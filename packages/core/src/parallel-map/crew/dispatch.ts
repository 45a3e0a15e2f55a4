import { isCloned, pack } from '../codec.js'
import type { Job } from '../job/job.js'
import type { Chunk } from '../job/source.js'
import { isMarked } from '../move.js'
import { unsendable } from '../sendable.js'
import type { Crew } from './crew.js'
import { clones, notCloned, notSendable } from './failures.js'
import type { Flying } from './flying.js'
import type { Member } from './member.js'

/** Batches that a worker has at most: while it works on one, the next is there already. */
const depth = 2

/** Keeps the workers of a crew busy: who gets which items, and who gives some back for others. */
export class Dispatch {
  readonly #crew: Crew
  #turn = 0
  #pumping = false
  #again = false

  constructor(crew: Crew) {
    this.#crew = crew
  }

  /** Sends what there is to send, first one batch to each, then the next ones. */
  pump(): void {
    if (this.#pumping) {
      this.#again = true
      return
    }
    this.#pumping = true
    do {
      this.#again = false
      this.#fill()
    } while (this.#again)
    this.#pumping = false
  }

  #fill(): void {
    for (let level = 1; level <= depth; level++) {
      for (const member of this.#crew.members) {
        if (!member.ready || member.leaving || member.flying.size >= level) continue
        if (level > 1 && !this.#mayQueue(member)) continue
        if (!this.#giveNext(member)) {
          this.#balance()
          return
        }
      }
    }
  }

  /** What waits at a process cannot be taken back, nor what was moved: nothing waits behind long items there. */
  #mayQueue(member: Member): boolean {
    const [flying] = member.flying.values()
    if (flying?.chunk.alone) return false
    if (this.#crew.options.isolation === 'thread' && !flying?.moved) return true
    return (flying?.job.sizing.cost ?? Number.POSITIVE_INFINITY) < 5
  }

  #giveNext(member: Member): boolean {
    const jobs = [...this.#crew.jobs]
    const idle = member.flying.size === 0
    const last = idle || [...member.flying.values()].every(({ asked }) => asked)
    for (let step = 0; step < jobs.length; step++) {
      const job = jobs[(this.#turn + step) % jobs.length]!
      const chunk = job.take(this.#crew.size, { idle, last })
      if (chunk === undefined) {
        // An iterator says only when asked that nothing more comes.
        this.#crew.settle(job)
        continue
      }
      this.#turn = (this.#turn + step + 1) % jobs.length
      this.#send(member, job, chunk)
      return true
    }
    return false
  }

  #send(member: Member, job: Job, chunk: Chunk): void {
    const { segment } = chunk
    try {
      if (segment) {
        member.send(job, chunk, segment.shared(job.sizing.fixed, this.#crew.size))
        return
      }
      const packed = pack(chunk.items, isMarked)
      const lost = isCloned(packed) ? chunk.items.findIndex((item) => unsendable(item) !== undefined) : -1
      if (lost === -1) member.send(job, chunk, packed)
      else this.#refuse(job, chunk, lost, unsendable(chunk.items[lost])!)
    } catch (error) {
      const index = segment ? -1 : chunk.items.findIndex((item) => !clones(item))
      if (index === -1) job.fail(notCloned(error))
      else this.#refuse(job, chunk, index, (error as Error).message, error)
    }
    this.#crew.settle(job)
  }

  #refuse(job: Job, { first, items }: Chunk, at: number, why: string, cause?: unknown): void {
    const error = notSendable(first + at, items[at], why, cause)
    job.again({ first, items: items.slice(0, at) })
    job.again({ first: first + at + 1, items: items.slice(at + 1) })
    job.itemFailed(first + at, error)
    this.#again = true
  }

  /** Nothing is left to send: takes from the busy what the idle can do. */
  #balance(): void {
    const members = [...this.#crew.members]
    if (!members.some((member) => member.ready && !member.leaving && member.flying.size === 0)) return
    for (const member of members) {
      if (member.flying.size < 2) continue
      const [running] = member.flying.values()
      if (this.reclaim(member, (flying) => flying !== running)) {
        this.#again = true
        return
      }
    }
    for (const member of members) this.askBack(member, 1)
  }

  /** Asks for the unbegun items of the batch that a worker is at, where they are worth this many milliseconds. */
  askBack(member: Member, worth: number): void {
    const [running] = member.flying.values()
    if (running === undefined || running.asked) return
    const held = member.handle.held().filter(({ batch }) => batch === running.number)
    const begun = held.length === 0 ? 0 : Math.max(...held.map(({ position }) => position)) + 1
    const { items, segment } = running.chunk
    // Of a segment that others can claim of too, only what this one has claimed is its own.
    const left = (segment?.isClaimed ? member.handle.claimedTo() : items.length) - begun
    const aged = performance.now() - running.sentAt
    if (left <= 0 || (aged < 5 && left * (running.job.sizing.cost ?? worth) < worth)) return
    running.asked = true
    member.handle.askBack(running.number)
  }

  /** Takes back what a worker has not begun. */
  reclaim(member: Member, of: (flying: Flying) => boolean): boolean {
    const back = member.takeBack((flying) => !flying.moved && of(flying))
    for (const flying of back) {
      if (!flying.chunk.segment) flying.job.again(flying.chunk)
      flying.job.landed(flying.chunk)
      this.#crew.settle(flying.job)
    }
    return back.length > 0
  }
}
