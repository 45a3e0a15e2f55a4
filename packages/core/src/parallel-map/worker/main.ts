import type { FromWorker, ToWorker } from '../protocol.js'
import type { Runnable } from './batch.js'
import type { Link } from './link.js'
import { type OwnFunctions, rebuild } from './rebuild.js'
import { BatchRunner } from './run-batch.js'
import { isRefusal } from './seal.js'
import { toWire } from './wire-error.js'

/** Serves a pool: takes its messages one after the other, and never throws into the event loop itself. */
export class WorkerMain {
  readonly #link: Link
  readonly #worker: number
  readonly #own: OwnFunctions
  readonly #programs = new Map<number, Runnable>()
  readonly #queue: ToWorker[] = []
  readonly #runner: BatchRunner
  #busy = false
  #context: { worker: number; state: unknown }

  constructor(link: Link, worker: number, own: OwnFunctions) {
    this.#link = link
    this.#worker = worker
    this.#own = own
    this.#context = { worker, state: undefined }
    this.#runner = new BatchRunner(link, () => this.#context)
  }

  receive(message: ToWorker): void {
    this.#queue.push(message)
    if (!this.#busy) void this.#drain()
  }

  async #drain(): Promise<void> {
    this.#busy = true
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      const going = this.#handle(next)
      if (going) await going
    }
    this.#busy = false
  }

  #handle(message: ToWorker): void | Promise<void> {
    switch (message.k) {
      case 'run': {
        const runnable = this.#programs.get(message.job)
        return runnable ? this.#runner.run(runnable, message) : this.#runner.skip(message.batch)
      }
      case 'program':
        return this.#program(message)
      case 'drop':
        this.#programs.delete(message.job)
        return
      case 'init':
        return this.#init(message)
    }
  }

  async #program({ job, program, options }: ToWorker & { k: 'program' }): Promise<void> {
    try {
      const fn = (await rebuild(program, this.#own)) as Runnable['fn']
      const frozen = program.nodes.some((node) => node.k === 'tree' || ('frozen' in node && node.frozen))
      const kindOf: Runnable['kindOf'] = (thrown) => (frozen && isRefusal(thrown) ? 'readonly' : 'thrown')
      this.#programs.set(job, { fn, options, pace: { cost: undefined }, working: 0, kindOf })
    } catch (error) {
      this.#say({ k: 'broken', job, error: toWire(error) })
    }
  }

  async #init({ program }: ToWorker & { k: 'init' }): Promise<void> {
    try {
      if (program) {
        const init = (await rebuild(program, this.#own)) as (context: { worker: number }) => unknown
        this.#context = { worker: this.#worker, state: await init({ worker: this.#worker }) }
      }
      this.#say({ k: 'ready' })
    } catch (error) {
      this.#say({ k: 'refused', error: toWire(error) })
    }
  }

  #say(message: FromWorker): void {
    this.#link.post(message, [])
  }
}
