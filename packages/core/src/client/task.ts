import { readArtifact } from '../datastore/artifacts/source.js'
import { type DoneRecord, keys, type TaskAddress, type TaskRecord, type TaskRef } from '../datastore/records.js'
import { GangflowError } from '../errors/base.js'
import type { Verdict } from '../errors/verdict.js'
import type { Artifacts } from '../flow/types.js'
import { lazyArtifacts, typesOf } from './artifacts.js'
import { Attempt } from './attempt.js'
import { byNumber, notFound } from './find.js'
import type { LogFilter, TaskLine } from './logs.js'
import type { GangNode } from './node.js'
import type { Run } from './run.js'
import { readSync, type View } from './view.js'

/** `queued`: it waits for its first attempt, or for the next one after a failure. */
export type TaskStatus = 'queued' | 'running' | 'done' | 'failed' | 'cancelled' | 'lost'

/** One execution of a step. */
export class Task<F = Record<string, unknown>> {
  readonly step: string
  /** The task's id, unique in its step. */
  readonly id: string
  /** `Flow/run/step/task`. */
  readonly pathspec: string
  readonly run: Run<F>
  readonly #view: View
  readonly #spec: TaskRecord
  readonly #address: TaskAddress
  #done: DoneRecord | undefined
  #artifacts: Artifacts<F> | undefined

  constructor(view: View, run: Run<F>, step: string, task: string) {
    this.#view = view
    this.run = run
    this.step = step
    this.id = task
    this.pathspec = `${run.pathspec}/${step}/${task}`
    this.#address = { flow: run.flow, run: run.id, step, task }
    const spec = readSync<TaskRecord>(view, keys.task(this.#address))
    if (spec === undefined) {
      const known = view.store.listChildrenSync(keys.step(run.flow, run.id, step))
      throw notFound(`task '${task}'`, [...known].sort(byNumber), `${run.pathspec}/${step}`)
    }
    this.#spec = spec
  }

  get createdAt(): Date {
    return new Date(this.#spec.createdAt)
  }

  get endedAt(): Date | undefined {
    const done = this.#doneRecord()
    if (done !== undefined) return new Date(done.endedAt)
    return this.attempts().at(-1)?.endedAt
  }

  /** The tasks that led here, in order: for a foreach's join by item, for a gang's by node. */
  get parents(): readonly TaskRef[] {
    return this.#spec.parents
  }

  /** The run from which a resumed run took it over. */
  get origin(): { readonly run: string; readonly task: string } | undefined {
    return this.#spec.origin
  }

  /** Members asked for, on a gang task. */
  get gangSize(): number | undefined {
    return this.#spec.gangSize
  }

  /** The item of a foreach's target; undefined for another task. Read when asked for. */
  get item(): unknown {
    const { item } = this.#spec
    return item && readArtifact(this.#view.store, item, { codecs: this.#view.codecs, name: 'item', step: this.step })
  }

  get status(): TaskStatus {
    if (this.#doneRecord() !== undefined) return 'done'
    const run = this.run.status === 'detached' ? 'running' : this.run.status
    const last = this.attempts().at(-1)
    if (last === undefined) return run === 'running' ? 'queued' : run === 'lost' ? 'lost' : 'cancelled'
    const { status } = last
    if (status !== 'failed' || run !== 'running') return status
    const times = this.run.description.steps.find(({ name }) => name === this.step)?.retry?.times ?? 0
    return last.attempt < times ? 'queued' : 'failed'
  }

  /** Why the last attempt did not succeed; also of a failure that `@catchError` caught. */
  get verdict(): Verdict | undefined {
    return this.#doneRecord()?.caught ?? (this.#done === undefined ? this.attempts().at(-1)?.verdict : undefined)
  }

  /**
   * The artifacts after it (for a gang: the control's), with the run's parameters, each read synchronously when asked
   * for. Throws `E_TASK_NOT_DONE` when the task has not ended well.
   */
  get artifacts(): Artifacts<F> {
    const done = this.#doneRecord()
    if (done === undefined) {
      throw new GangflowError({
        code: 'E_TASK_NOT_DONE',
        what: `task ${this.pathspec} has no artifacts: it is ${this.status}`,
        fix: 'wait for its end, or read the artifacts of the tasks before it',
        step: this.step,
      })
    }
    const { store, codecs } = this.#view
    const table = { ...this.run.parameterTable, ...done.artifacts }
    const { ambiguous } = done
    this.#artifacts ??= lazyArtifacts<Artifacts<F>>({ store, codecs, table, ambiguous, step: this.step })
    return this.#artifacts
  }

  /** The names and kinds of its artifacts, without reading any: `{ loss: 'number' }`. */
  get artifactTypes(): Readonly<Record<string, string>> {
    return typesOf(this.#doneRecord()?.artifacts ?? {})
  }

  /** In order; a task that a resumed run took over has those of its origin. */
  attempts(): Attempt<F>[] {
    const address = this.#logAddress()
    const numbers = [...this.#view.store.listChildrenSync(keys.attempts(address))].sort(byNumber)
    return numbers.map((attempt) => this.#attempt(Number(attempt)))
  }

  /** The members of its last attempt that ran a body; an ordinary task has none. */
  async nodes(): Promise<GangNode<F>[]> {
    return (await this.attempts().at(-1)?.nodes()) ?? []
  }

  /** Output of one attempt (default the last), see `Attempt.logs`. */
  logs(filter: LogFilter & { readonly attempt?: number; readonly follow?: boolean } = {}): AsyncIterable<TaskLine> {
    return this.#chosen(filter.attempt)?.logs(filter) ?? nothing()
  }

  /** The last lines of one attempt (default the last). */
  async tail(count: number, filter: LogFilter & { readonly attempt?: number } = {}): Promise<TaskLine[]> {
    return (await this.#chosen(filter.attempt)?.tail(count, filter)) ?? []
  }

  #chosen(number: number | undefined): Attempt<F> | undefined {
    return number === undefined ? this.attempts().at(-1) : this.#attempt(number)
  }

  #attempt(attempt: number): Attempt<F> {
    return new Attempt<F>(this.#view, { ...this.#logAddress(), attempt }, () => this.run.status)
  }

  #logAddress(): TaskAddress {
    return this.#spec.origin === undefined ? this.#address : { ...this.#address, ...this.#spec.origin }
  }

  #doneRecord(): DoneRecord | undefined {
    this.#done ??= readSync<DoneRecord>(this.#view, keys.done(this.#address))
    return this.#done
  }
}

async function* nothing(): AsyncGenerator<never> {}
