import {
  type ArtifactTable,
  keys,
  type OwnerRecord,
  type RunEndRecord,
  type RunRecord,
  type RunStatus,
} from '../datastore/records.js'
import type { ErrorFacts } from '../errors/base.js'
import type { FlowDescription } from '../flow/description.js'
import type { Artifacts } from '../flow/types.js'
import { lazyArtifacts } from './artifacts.js'
import { notFound } from './find.js'
import type { LogFilter, TaskLine } from './logs.js'
import { type Elsewhere, elsewhere, ownerOf, runStatus } from './status.js'
import { Step } from './step.js'
import type { Task, TaskStatus } from './task.js'
import { readSync, type View } from './view.js'

/**
 * A run of a flow. Properties are read synchronously and anew each time, so that a living run may be watched;
 * methods that look at many records are asynchronous.
 */
export class Run<F = Record<string, unknown>> {
  readonly flow: string
  readonly id: string
  /** `Flow/run`. */
  readonly pathspec: string
  readonly #view: View
  readonly #record: RunRecord

  constructor(view: View, record: RunRecord) {
    this.#view = view
    this.#record = record
    this.flow = record.flow
    this.id = record.run
    this.pathspec = `${record.flow}/${record.run}`
  }

  /** The flow's file, as it was called on the machine that ran it. */
  get file(): string {
    return this.#record.file
  }
  get user(): string {
    return this.#record.user
  }
  get host(): string {
    return this.#record.host
  }
  get backend(): string {
    return this.#record.backend
  }
  get coreVersion(): string {
    return this.#record.coreVersion
  }
  get startedAt(): Date {
    return new Date(this.#record.startedAt)
  }
  /** Its tasks run in jobs of an engine, which outlive their launcher, and it has no end: `gangflow attach` takes it up. */
  get attachable(): boolean {
    const relayed = () => readSync(this.#view, keys.relayed(this.flow, this.id)) !== undefined
    return this.#record.jobs === true && this.#end() === undefined && !relayed()
  }
  /** The graph that ran. */
  get description(): FlowDescription {
    return this.#record.description
  }
  /** The run that this one resumes. */
  get origin(): RunRecord['origin'] {
    return this.#record.origin
  }
  /** Where the parameters' values are; `parameters` reads them. */
  get parameterTable(): ArtifactTable {
    return this.#record.parameters
  }

  get parameters(): Readonly<Record<string, unknown>> {
    const { store, codecs } = this.#view
    return lazyArtifacts({ store, codecs, table: this.#record.parameters, step: 'start' })
  }

  get tags(): readonly string[] {
    return readSync<string[]>(this.#view, keys.tags(this.flow, this.id)) ?? []
  }

  get status(): RunStatus {
    return runStatus(this.#view, this.flow, this.id)
  }

  /** For a run whose `running` cannot be verified from here: the host of its launcher, and its last sign of life. */
  get elsewhere(): Elsewhere | undefined {
    return elsewhere(this.#view, this.flow, this.id)
  }

  get endedAt(): Date | undefined {
    const end = this.#end()
    return end && new Date(end.endedAt)
  }

  /** Why it failed. */
  get error(): ErrorFacts | undefined {
    return this.#end()?.error
  }

  /** The task that failed first. */
  get failed(): RunEndRecord['failed'] {
    return this.#end()?.failed
  }

  /** The process that runs it, or ran it. */
  get owner(): OwnerRecord | undefined {
    return ownerOf(this.#view, this.flow, this.id)
  }

  /** The artifacts after the step `end`. Throws `E_TASK_NOT_DONE` or `E_NOT_FOUND` when the run did not get there. */
  get artifacts(): Artifacts<F> {
    return this.step('end').task().artifacts
  }

  /** The steps that have tasks, in the order of the flow. */
  async steps(): Promise<Step<F>[]> {
    const names = new Set(await this.#view.store.listChildren(keys.tasks(this.flow, this.id)))
    const declared = this.description.steps.map(({ name }) => name).filter((name) => names.has(name))
    const others = [...names].filter((name) => !declared.includes(name))
    return [...declared, ...others].map((name) => new Step<F>(this.#view, this, name))
  }

  /** Throws `E_NOT_FOUND` for a step that the flow does not have. */
  step(name: string): Step<F> {
    const known = this.description.steps.map((step) => step.name)
    if (!known.includes(name)) throw notFound(`step '${name}'`, known, this.pathspec)
    return new Step<F>(this.#view, this, name)
  }

  /** Its tasks in the order of the flow's steps. */
  async tasks(
    filter: { readonly step?: string; readonly status?: TaskStatus | readonly TaskStatus[] } = {},
  ): Promise<Task<F>[]> {
    const steps = filter.step === undefined ? await this.steps() : [this.step(filter.step)]
    const tasks = (await Promise.all(steps.map((step) => step.tasks()))).flat()
    const wanted = filter.status === undefined ? undefined : [filter.status].flat()
    return wanted === undefined ? tasks : tasks.filter((task) => wanted.includes(task.status))
  }

  /** The task of a step; by default its first. */
  task(step: string, id?: string | number): Task<F> {
    return this.step(step).task(id)
  }

  /** The output of its tasks' last attempts, task by task in the order in which they were made. */
  async *logs(filter: LogFilter & { readonly step?: string } = {}): AsyncGenerator<TaskLine> {
    const tasks = await this.tasks(filter.step === undefined ? {} : { step: filter.step })
    tasks.sort((a, b) => a.createdAt.getTime() - b.createdAt.getTime())
    for (const task of tasks) yield* task.logs(filter)
  }

  async addTags(...tags: readonly string[]): Promise<void> {
    await this.#view.store.putRecord(keys.tags(this.flow, this.id), [...new Set([...this.tags, ...tags])])
  }

  async removeTags(...tags: readonly string[]): Promise<void> {
    const left = this.tags.filter((tag) => !tags.includes(tag))
    await this.#view.store.putRecord(keys.tags(this.flow, this.id), left)
  }

  #end(): RunEndRecord | undefined {
    return readSync<RunEndRecord>(this.#view, keys.end(this.flow, this.id))
  }
}
