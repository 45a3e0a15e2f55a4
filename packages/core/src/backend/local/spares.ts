import type { Bootstrap, Prelude, Prepared } from '../../gang/contract.js'
import { LocalGang, type LocalStart } from './gang.js'
import type { LocalPlan } from './plan.js'

/** Gangs whose agents were started ahead of need, each for the one attempt that it was told of. */
export class LocalSpares {
  readonly #start: LocalStart
  readonly #waiting = new Map<string, Promise<LocalGang>>()
  /** Those that nobody took: their places are free again once they are gone. */
  readonly #leaving = new Map<string, Promise<void>>()

  constructor(start: LocalStart) {
    this.#start = start
  }

  prepare(plan: LocalPlan, prelude: Prelude): Prepared {
    const key = keyOf(plan, prelude)
    const gang = this.#waiting.get(key) ?? this.#open(plan, prelude, this.#leaving.get(key))
    gang.catch(() => {})
    this.#waiting.set(key, gang)
    return { close: () => this.#close(key, gang) }
  }

  /** One for this attempt whose agents all live; it is the caller's then, and its agents are told where they belong. */
  async take(plan: LocalPlan, { secret, rendezvous, ...prelude }: Bootstrap): Promise<LocalGang | undefined> {
    const key = keyOf(plan, prelude)
    const waiting = this.#waiting.get(key)
    this.#waiting.delete(key)
    // What could not be started ahead is started anew, and says why if it cannot.
    const gang = await waiting?.catch(() => undefined)
    if (gang?.tell({ ...prelude, secret, rendezvous })) return gang
    await (gang ? gang.discard() : this.#leaving.get(key))
    return undefined
  }

  async #open(plan: LocalPlan, prelude: Prelude, before: Promise<void> | undefined): Promise<LocalGang> {
    await before
    const gang = await LocalGang.open(plan, prelude, this.#start)
    await gang.begin(prelude)
    return gang
  }

  async #close(key: string, gang: Promise<LocalGang>): Promise<void> {
    if (this.#waiting.get(key) !== gang) return
    this.#waiting.delete(key)
    const left = gang.then(
      (it) => it.discard(),
      () => {},
    )
    this.#leaving.set(key, left)
    await left.finally(() => this.#leaving.delete(key))
  }
}

const keyOf = (plan: LocalPlan, prelude: Prelude): string => JSON.stringify([plan, prelude])
