import type { Resources } from '../flow/description.js'

/** What this machine lends to tasks at once. */
export interface Capacity {
  /** Tasks at once; a gang is one, since its members run all or none. */
  readonly workers: number
  readonly cpus: number
  /** Ids of the devices, as CUDA_VISIBLE_DEVICES names them. */
  readonly gpus: readonly string[]
}

/** What one running task holds; give it back to `release`. */
export interface Lease {
  readonly cpu: number
  readonly gpus: readonly string[]
}

/**
 * Who may start now. A task takes one worker, and what its step declared by `@resources` of the CPUs and devices
 * (times the members for a gang). One that asks for more than there is takes all there is: it runs alone, it is not
 * refused. Memory is not counted.
 */
export class Admission {
  private used = 0
  private cpu = 0
  private readonly free: string[]

  constructor(private readonly capacity: Capacity) {
    this.free = [...capacity.gpus]
  }

  get running(): number {
    return this.used
  }

  get workers(): number {
    return this.capacity.workers
  }

  /** How many more tasks may start, if they ask for nothing special. */
  get idle(): number {
    return Math.max(0, this.capacity.workers - this.used)
  }

  /** The lease, or undefined when the task has to wait. */
  admit(resources: Resources, members = 1): Lease | undefined {
    if (this.used >= this.capacity.workers) return undefined
    const cpu = Math.min((resources.cpu ?? 0) * members, this.capacity.cpus)
    const gpus = Math.min(Math.ceil(resources.gpu ?? 0) * members, this.capacity.gpus.length)
    if (this.cpu + cpu > this.capacity.cpus || gpus > this.free.length) return undefined
    this.used += 1
    this.cpu += cpu
    return { cpu, gpus: this.free.splice(0, gpus) }
  }

  release(lease: Lease): void {
    this.used -= 1
    this.cpu -= lease.cpu
    this.free.push(...lease.gpus)
    this.free.sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
  }
}
