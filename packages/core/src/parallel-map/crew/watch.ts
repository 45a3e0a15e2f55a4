import type { Job } from '../job/job.js'
import type { Crew } from './crew.js'

/** Milliseconds between looks at the workers. */
const period = 20
/** A batch at work for this long hands over what it has, so that results and their order do not wait for its end. */
const stale = 25
/** What an ended map still has in work may take this long before its worker is ended. */
const grace = 100
/** After the ceiling was passed, memory is given this long to come back. */
const recovery = 1000

/** Looks at a crew's workers while it has jobs: item timeouts, memory, long batches, and maps that are to end. */
export class Watch {
  readonly #crew: Crew
  readonly #stopping = new Map<Job, number>()
  #timer: NodeJS.Timeout | undefined
  #memoryAt = 0

  constructor(crew: Crew) {
    this.#crew = crew
  }

  start(): void {
    // Workers with work keep the program alive, and nothing else here does.
    this.#timer ??= setInterval(() => this.#look(), period).unref()
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#stopping.clear()
  }

  stopping(job: Job): void {
    if (!this.#stopping.has(job)) this.#stopping.set(job, performance.now())
  }

  #look(): void {
    const now = performance.now()
    this.#limitMemory(now)
    for (const member of this.#crew.members) {
      if (member.flying.size === 0 || member.leaving) continue
      for (const held of member.heldSince(now)) {
        const flying = member.flying.get(held.batch)
        const timeout = flying?.job.spec.timeout
        if (timeout === undefined || now - held.since < timeout) continue
        void this.#crew.kill(member, { why: 'timeout', held })
        break
      }
      for (const flying of member.flying.values()) {
        const since = this.#stopping.get(flying.job)
        if (since !== undefined && now - since > grace) void this.#crew.kill(member, { why: 'stop' })
        else if (now - flying.sentAt > stale) this.#crew.askBack(member, 0)
      }
    }
    for (const job of [...this.#stopping.keys()]) {
      if (job.over) this.#stopping.delete(job)
      else this.#crew.settle(job)
    }
    this.#crew.pump()
  }

  #limitMemory(now: number): void {
    const { maxMemory, isolation } = this.#crew.options
    if (maxMemory === undefined || now - this.#memoryAt < recovery) return
    if (isolation === 'thread') {
      if (process.memoryUsage.rss() <= maxMemory) return
      this.#memoryAt = now
      for (const member of this.#crew.members)
        if (member.handle.held().length > 0) void this.#crew.kill(member, { why: 'memory' })
      return
    }
    for (const member of this.#crew.members)
      if ((member.handle.memory() ?? 0) > maxMemory) void this.#crew.kill(member, { why: 'memory' })
  }
}
