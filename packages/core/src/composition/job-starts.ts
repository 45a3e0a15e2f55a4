import { existsSync, writeFileSync } from 'node:fs'
import type { ErrorFacts } from '../errors/base.js'
import { warningFile } from './job-warning.js'

/** As often a job may lose its node: Slurm gives up as soon where nodes do not even start one. */
const LOST = 5

/**
 * Which starts of a job ended without being told to: their node was lost. An engine puts such a job back into the queue for ever,
 * also one that itself brings down every node that it is given.
 */
export class JobStarts {
  /** @param place as of the job's warnings. */
  constructor(
    private readonly place: string,
    private readonly restarts: number,
  ) {}

  /** This start is told to end. */
  told(): void {
    try {
      writeFileSync(this.#toldFile(this.restarts), '')
    } catch {
      // It then counts as lost.
    }
  }

  /** Why it is not to go on. */
  refusal(step: string): ErrorFacts | undefined {
    const before = [...Array(this.restarts).keys()]
    const lost = before.filter(
      (start) => existsSync(warningFile(this.place, start)) && !existsSync(this.#toldFile(start)),
    )
    if (lost.length < LOST) return undefined
    return {
      code: 'E_JOB_NODES',
      what: `the job of step '${step}' lost its node ${lost.length} times, and is not started again`,
      fix: 'see whether the step itself brings nodes down (memory, drivers, disks); @retry({ infrastructure: 1 }) starts it anew',
    }
  }

  #toldFile(start: number): string {
    return `${this.place}-${start}.told`
  }
}
