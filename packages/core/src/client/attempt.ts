import {
  type AttemptAddress,
  type AttemptFailedRecord,
  type AttemptRecord,
  type DoneRecord,
  type EpochHead,
  type EpochOpening,
  keys,
  type NodeRecord,
  type RunStatus,
} from '../datastore/records.js'
import type { Verdict } from '../errors/verdict.js'
import type { Json } from '../flow/values.js'
import { byNumber } from './find.js'
import { attemptLines, attemptTail, type LogFilter, type TaskLine } from './logs.js'
import { GangNode } from './node.js'
import { readSync, type View } from './view.js'

export type AttemptStatus = 'running' | 'done' | 'failed' | 'cancelled' | 'lost'

/** One attempt at a task. */
export class Attempt<F = Record<string, unknown>> {
  /** Counts from 0. */
  readonly attempt: number
  readonly #view: View
  readonly #address: AttemptAddress
  readonly #run: () => RunStatus

  constructor(view: View, address: AttemptAddress, run: () => RunStatus) {
    this.#view = view
    this.#address = address
    this.#run = run
    this.attempt = address.attempt
  }

  get startedAt(): Date | undefined {
    const start = readSync<AttemptRecord>(this.#view, keys.attemptStart(this.#address))
    return start && new Date(start.startedAt)
  }

  get endedAt(): Date | undefined {
    const at = this.#failed()?.endedAt ?? this.#done()?.endedAt
    return at === undefined ? undefined : new Date(at)
  }

  /** The host of the launcher that started it. */
  get host(): string | undefined {
    return readSync<AttemptRecord>(this.#view, keys.attemptStart(this.#address))?.host
  }

  /** How it ended, when it did not succeed (or was caught by `@catchError`). */
  get verdict(): Verdict | undefined {
    return this.#failed()?.verdict ?? this.#done()?.caught
  }

  get status(): AttemptStatus {
    if (this.#done() !== undefined) return 'done'
    const failed = this.#failed()
    if (failed !== undefined) return failed.verdict.cause === 'cancelled' ? 'cancelled' : 'failed'
    const run = this.#run()
    if (run === 'detached') return 'running'
    return run === 'running' || run === 'lost' ? run : 'cancelled'
  }

  /** The members that ran a body, in order of epoch and node; an ordinary task has none. */
  async nodes(): Promise<GangNode<F>[]> {
    const done = this.#done()
    const { step } = this.#address
    if (done?.nodes !== undefined) {
      return done.nodes.map((record) => new GangNode<F>(this.#view, step, done.epoch, record))
    }
    const { store } = this.#view
    const root = `${keys.attempt(this.#address)}/epochs`
    const nodes: GangNode<F>[] = []
    for (const epoch of [...(await store.listChildren(root))].sort(byNumber)) {
      for (const node of [...(await store.listChildren(`${root}/${epoch}/nodes`))].sort(byNumber)) {
        const record = (await store.readRecord(keys.node(this.#address, Number(epoch), Number(node)))) as unknown
        if (record !== undefined) nodes.push(new GangNode<F>(this.#view, step, Number(epoch), record as NodeRecord))
      }
    }
    return nodes
  }

  /** How a gang was formed, and formed again: each epoch with its members in node order and the losses that it came after. */
  async epochs(): Promise<readonly EpochOpening[]> {
    const found: EpochOpening[] = []
    for (let version = 1; ; version += 1) {
      const head = (await this.#view.store.readRecord(keys.epochHead(this.#address, version))) as unknown
      if (head === undefined || (head as EpochHead).kind === 'end') return found
      found.push(head as EpochOpening)
    }
  }

  /** What plugins performed (argv, environment and so on), by node and name. */
  async plans(): Promise<{ readonly node: number; readonly name: string; readonly plan: Json }[]> {
    const { store } = this.#view
    const root = `${keys.attempt(this.#address)}/plans`
    const plans: { node: number; name: string; plan: Json }[] = []
    for (const key of await store.listRecords(root)) {
      const [node, name] = key.slice(root.length + 1).split('/') as [string, string]
      const plan = await store.readRecord(key)
      if (plan !== undefined) plans.push({ node: Number(node), name, plan })
    }
    return plans
  }

  /**
   * Its output line by line: of all its processes in the order of time, where one clock gave it, else node by node.
   * A living or killed process's log is read up to its last line where its spool is on this machine.
   */
  logs(filter: LogFilter & { readonly follow?: boolean } = {}): AsyncIterable<TaskLine> {
    return attemptLines(this.#view.store, this.#address, filter)
  }

  /** The last lines of its output. */
  tail(count: number, filter: LogFilter = {}): Promise<TaskLine[]> {
    return attemptTail(this.#view.store, this.#address, count, filter)
  }

  #failed(): AttemptFailedRecord | undefined {
    return readSync<AttemptFailedRecord>(this.#view, keys.attemptFailed(this.#address))
  }

  #done(): DoneRecord | undefined {
    const done = readSync<DoneRecord>(this.#view, keys.done(this.#address))
    return done?.attempt === this.attempt ? done : undefined
  }
}
