import { fromWire } from '../item-error.js'
import type { Job } from '../job/job.js'
import type { Done, FromWorker, Program } from '../protocol.js'
import { Dispatch } from './dispatch.js'
import { allDied, initFailed, notRebuilt, notStarted } from './failures.js'
import type { Gone, WorkerEvents, WorkerHandle } from './handle.js'
import { lossOf, suspectsOf } from './loss.js'
import { Member, type Sentence } from './member.js'
import { startProcess } from './process.js'
import { takeResults } from './take-results.js'
import { startThread } from './thread.js'
import { Watch } from './watch.js'

export interface CrewOptions {
  readonly size: number
  readonly isolation: 'thread' | 'process'
  readonly heap: number | undefined
  /** Bytes. */
  readonly maxMemory: number | undefined
  readonly init: Program | undefined
}

/** Workers that may die one after the other without a single item done, before the crew gives up. */
const mostStillborn = 3

/** The workers of a pool: starts, ends and replaces them, and knows what jobs they have. */
export class Crew {
  readonly members = new Set<Member>()
  readonly jobs = new Set<Job>()
  readonly #watch: Watch
  readonly #dispatch: Dispatch
  readonly #waiting = new Set<{ resolve: () => void; reject: (error: unknown) => void }>()
  #size: number
  #wanted = 0
  #stillborn = 0

  constructor(readonly options: CrewOptions) {
    this.#size = options.size
    this.#watch = new Watch(this)
    this.#dispatch = new Dispatch(this)
  }

  get size(): number {
    return this.#size
  }

  add(job: Job): void {
    this.jobs.add(job)
    this.#warmOrStop(Math.min(this.#size, job.source.total ?? this.#size))
    this.#watch.start()
    this.pump()
    this.settle(job)
  }

  /** Starts workers up to a number, at most the crew's size. Throws `E_POOL_START` where not a single one can be. */
  warm(count: number | undefined = this.#size): void {
    this.#wanted = Math.max(this.#wanted, Math.min(count, this.#size))
    const taken = new Set([...this.members].filter((member) => !member.leaving).map((member) => member.worker))
    for (let worker = 0; taken.size < this.#wanted; worker++) {
      if (taken.has(worker)) continue
      taken.add(worker)
      try {
        this.#start(worker)
      } catch (error) {
        // Those that are there do the work.
        this.#wanted = taken.size - 1
        if (this.#wanted === 0) throw notStarted(error)
      }
    }
  }

  /** `warm` where nobody called who could be told. */
  #warmOrStop(count?: number): void {
    try {
      this.warm(count)
    } catch (error) {
      for (const job of this.jobs) this.stop(job, error)
      this.#tell(error)
    }
  }

  /** Another number of workers; those too many end once what they have is done. */
  resize(size: number): void {
    this.#size = size
    if (this.jobs.size > 0) this.#warmOrStop()
    this.#wanted = Math.min(this.#wanted, size)
    const staying = [...this.members].filter((member) => !member.leaving)
    for (const member of staying.slice(size)) {
      member.leaving = true
      this.#dispatch.reclaim(member, () => true)
      this.askBack(member, 0)
      this.#letGo(member)
    }
    this.pump()
  }

  /** Resolves when all workers that were asked for can work; rejects with what keeps them from it. */
  async ready(): Promise<void> {
    while ([...this.members].some((member) => !member.ready)) {
      await new Promise<void>((resolve, reject) => {
        this.#waiting.add({ resolve, reject })
        this.#hold()
      })
    }
    this.#hold()
  }

  #tell(error?: unknown): void {
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const { resolve, reject } of waiting) error === undefined ? resolve() : reject(error)
  }

  /** Ends all workers at once; resolves when they are gone. */
  async end(): Promise<void> {
    this.#watch.stop()
    this.#wanted = 0
    this.#size = 0
    await Promise.all([...this.members].map((member) => this.kill(member, { why: 'stop' })))
  }

  async kill(member: Member, sentence: Sentence): Promise<void> {
    member.sentence ??= sentence
    member.leaving = true
    member.handle.keepAlive(true)
    await member.handle.kill()
  }

  /** Sends what there is to send. */
  pump(): void {
    this.#dispatch.pump()
    this.#hold()
  }

  /** Asks for the unbegun items of the batch that a worker is at, where they are worth this many milliseconds. */
  askBack(member: Member, worth: number): void {
    this.#dispatch.askBack(member, worth)
  }

  #start(worker: number): void {
    const start = this.options.isolation === 'thread' ? startThread : startProcess
    let member: Member | undefined
    const events: WorkerEvents = {
      message: (message) => member && this.#message(member, message),
      gone: (gone) => member && this.#gone(member, gone),
    }
    const handle: WorkerHandle = start({ worker, heap: this.options.heap }, events)
    member = new Member(worker, handle)
    this.members.add(member)
    handle.keepAlive(false)
    member.begin(this.options.init)
  }

  #message(member: Member, message: FromWorker): void {
    switch (message.k) {
      case 'ready':
        member.ready = true
        this.#tell()
        break
      case 'refused':
        void this.kill(member, { why: 'stop' })
        this.#refused(fromWire(message.error))
        break
      case 'broken': {
        const job = [...this.jobs].find(({ id }) => id === message.job)
        if (job) this.#broken(member, job, fromWire(message.error))
        break
      }
      case 'done':
        this.#done(member, message)
    }
    this.pump()
  }

  #refused(cause: unknown): void {
    const error = initFailed(cause)
    for (const job of this.jobs) this.stop(job, error)
    this.#tell(error)
  }

  #broken(member: Member, job: Job, cause: unknown): void {
    for (const flying of member.flying.values()) {
      if (flying.job !== job) continue
      member.flying.delete(flying.number)
      job.landed(flying.chunk)
    }
    this.stop(job, notRebuilt(cause))
  }

  #done(member: Member, done: Done): void {
    const flying = member.flying.get(done.batch)
    if (flying === undefined) return
    this.#stillborn = 0
    const { job, chunk } = flying
    takeResults(flying, done)
    if (done.end) {
      job.sizing.measured(flying.count, done.spent)
      member.flying.delete(done.batch)
      job.again(flying.handBack(done.restAt, done.rest, done.back))
      job.landed(chunk)
    }
    this.settle(job)
    this.#letGo(member)
  }

  #letGo(member: Member): void {
    if (member.leaving && member.flying.size === 0) void this.kill(member, { why: 'resize' })
  }

  /** Ends a job with an error: what is not begun comes back now, what runs is given the watch's grace. */
  stop(job: Job, error: unknown): void {
    job.fail(error)
    this.settle(job)
  }

  /** After anything that may have changed a job: takes its work back when it is stopped, forgets it when it is over. */
  settle(job: Job): void {
    if (job.stopped && !job.over) {
      this.#watch.stopping(job)
      for (const member of this.members) {
        if (![...member.flying.values()].some((flying) => flying.job === job)) continue
        for (const { chunk } of member.takeBack((one) => one.job === job)) job.landed(chunk)
        for (const flying of member.flying.values()) if (flying.job === job) member.handle.askBack(flying.number)
      }
    }
    job.check()
    if (!job.over || !this.jobs.delete(job)) return
    for (const member of this.members) member.drop(job)
    if (this.jobs.size === 0) this.#watch.stop()
    this.#hold()
  }

  /**
   * Workers keep the program alive while they start for something or have work: not when idle, nor when the reader of
   * a lazy map does not ask for more.
   */
  #hold(): void {
    const asked = this.jobs.size > 0 || this.#waiting.size > 0
    const busy = asked && [...this.members].some((member) => !member.ready || member.flying.size > 0)
    for (const member of this.members) {
      if (member.leaving || member.held === busy) continue
      member.held = busy
      member.handle.keepAlive(busy)
    }
  }

  #gone(member: Member, gone: Gone): void {
    this.members.delete(member)
    const expected = member.sentence?.why === 'stop' || member.sentence?.why === 'resize'
    let held = 0
    const suspects = suspectsOf(member.flying.values(), gone)
    for (const flying of member.flying.values()) {
      const loss = lossOf(flying, suspects, gone, member.sentence)
      held += loss.failed.length + loss.doubtful
      const { job } = flying
      for (const { index, error } of loss.failed) job.itemFailed(index, error)
      for (const chunk of loss.again) job.again(chunk)
      job.landed(flying.chunk)
      this.settle(job)
    }
    member.flying.clear()
    if (!expected && held === 0 && ++this.#stillborn >= mostStillborn) {
      const error = allDied(mostStillborn, gone)
      for (const job of this.jobs) this.stop(job, error)
      this.#tell(error)
      this.#stillborn = 0
    } else this.#tell()
    if (this.jobs.size > 0 || this.#waiting.size > 0) this.#warmOrStop(this.#wanted)
    this.pump()
  }
}
