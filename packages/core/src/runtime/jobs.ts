import { rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type Deferred, deferred } from '../body/deferred.js'
import type { CompiledFlow } from '../compile/contract.js'
import type { Datastore } from '../datastore/contract.js'
import { type JobEngine, keys } from '../datastore/records.js'
import { GangflowError } from '../errors/base.js'
import type { FlowDescription, StepDescription } from '../flow/description.js'
import type { GangBackend } from '../gang/contract.js'
import type { JobBackend, JobRequest, SubmittedJob } from '../gang/job-contract.js'
import { followJob, type Handed, type JobAttempt, type JobOutcome, noteOf } from './follow-job.js'
import { JobOutputs } from './job-outputs.js'
import type { JobRecord, LaunchRecord } from './job-record.js'
import type { Journal } from './journal.js'
import { keepTask } from './keep-task.js'
import type { PlannedTask } from './plan.js'
import { json } from './run-record.js'

/** Milliseconds in which tasks that become ready are handed over together. */
const GATHER_MS = 10
/** As many tasks are one array at most: engines have limits, 1001 is one's default. */
const ARRAY = 1_000
/** Milliseconds before an engine that does not know a job, or does not answer, is asked again. */
const AGAIN_MS = 1_000

export interface JobsOptions {
  readonly backend: JobBackend
  /** What takes their place where nodes do not see the datastore. */
  readonly relayed?: GangBackend
  readonly journal: Journal
  readonly launch: LaunchRecord
  readonly flow: string
  readonly run: string
  readonly compiled: CompiledFlow
  readonly datastore: Datastore
}

interface Waiting extends JobAttempt {
  resolve(outcome: JobOutcome): void
  reject(error: unknown): void
}

/** What attempts end with whose launcher leaves: their jobs go on. */
export class JobsLeft extends Error {}

/** The jobs of one run: tasks that become ready together are handed over together. */
export class Jobs {
  readonly #options: JobsOptions
  #waiting: Waiting[] = []
  readonly #outputs = new JobOutputs()
  /** What is being handed over or taken up. */
  readonly #handing = new Set<Promise<void>>()
  /** How often that failed. */
  #refused = 0
  /** Ids of jobs that are followed, each with the number of its tasks. */
  readonly #open = new Map<string, number>()
  readonly #left: Deferred<never> = deferred()
  /** Handed over by nobody, as far as the engine knew: a command of a killed launcher may still have done it. */
  readonly #voided: JobRequest[] = []
  /** The records of tasks that were handed over. */
  #kept: Promise<unknown> = Promise.resolve()
  #relayed = false

  constructor(options: JobsOptions) {
    this.#options = options
    this.#left.promise.catch(() => {})
  }

  /** Runs one attempt in a job, or follows the one that it runs in. Rejects when it cannot be handed over. */
  run(attempt: JobAttempt): Promise<JobOutcome> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.length === 0) setTimeout(() => this.#handOver(), GATHER_MS)
      this.#waiting.push({ ...attempt, resolve, reject })
    })
  }

  /**
   * Leaves the jobs alone, once all that is ready was handed over; every attempt then ends with `JobsLeft`. Gives the ids of
   * those that go on; undefined where some could not be handed over, and nothing is left.
   */
  async leave(): Promise<readonly string[] | undefined> {
    this.#handOver()
    const refused = this.#refused
    while (this.#handing.size > 0) await Promise.allSettled(this.#handing)
    if (this.#refused > refused) return undefined
    const open = [...this.#open.keys()]
    this.abandon()
    return open
  }

  /** Follows them no longer, at once. */
  abandon(): void {
    const left = new JobsLeft()
    for (const one of this.#waiting.splice(0)) one.reject(left)
    this.#left.reject(left)
  }

  /** What runs tasks instead of jobs since a node was found not to see the datastore. */
  get relayed(): GangBackend | undefined {
    return this.#relayed ? this.#options.relayed : undefined
  }

  /** A node does not see the datastore; false where there is no other way. Throws for a flow for which there is none. */
  relay(host: string | undefined, emit: JobAttempt['emit']): boolean {
    const { relayed, compiled, datastore } = this.#options
    if (!relayed) return false
    if (this.#relayed) return true
    relayed.check?.(compiled.description)
    this.#relayed = true
    const text = `${host ?? 'its node'} does not see the datastore ${datastore.location.replace(/^dir:/, '')}: tasks and gangs run relayed through this launcher from here on, and end with it`
    emit(noteOf(text))
    return true
  }

  /** What the jobs have told is kept of a run that did not end well: their engine's last words are in it. */
  async close(whole: boolean): Promise<void> {
    this.#outputs.close()
    await this.#kept
    const { backend, datastore, flow, run } = this.#options
    for (const request of this.#voided) await this.#endLate(request).catch(() => {})
    backend.close()
    if (whole) await rm(join(datastore.scratch('jobs'), flow, run), { recursive: true, force: true })
  }

  #handOver(): void {
    const groups = new Map<string, Waiting[]>()
    for (const one of this.#waiting.splice(0)) {
      const key = one.handed ? one.handed.job : `${one.step.name}/${one.task.gangSize ?? ''}`
      const alike = groups.get(key) ?? []
      groups.set(key, alike)
      alike.push(one)
    }
    for (const alike of groups.values())
      this.#hand(alike, alike[0]!.handed ? this.#takeUp(alike) : this.#submitAll(alike))
  }

  #hand(tasks: readonly Waiting[], handing: Promise<void>): void {
    this.#handing.add(handing)
    handing
      .catch((error: unknown) => {
        this.#refused += 1
        for (const one of tasks) one.reject(error)
      })
      .finally(() => this.#handing.delete(handing))
  }

  /** In as few goes as the engine lets; how many run at once is divided among them. */
  async #submitAll(alike: readonly Waiting[]): Promise<void> {
    const { backend, launch } = this.#options
    const largest = alike.length > 1 ? await backend.largest?.().catch(() => undefined) : undefined
    const parts = Math.ceil(alike.length / Math.min(ARRAY, largest ?? ARRAY))
    const size = Math.ceil(alike.length / parts)
    const atOnce = launch.atOnce === undefined ? undefined : Math.max(1, Math.floor(launch.atOnce / parts))
    for (let at = 0; at < alike.length; at += size) {
      const tasks = alike.slice(at, at + size)
      this.#hand(tasks, this.#submit(tasks, atOnce))
    }
  }

  async #submit(tasks: readonly Waiting[], atOnce = this.#options.launch.atOnce): Promise<void> {
    const { backend, datastore, flow, run, journal } = this.#options
    // From here on it is decided: whoever owns the run after this launcher sees to it.
    const job = await journal.append({ kind: 'jobs', ...this.#recordOf(tasks) })
    const [first] = tasks as [Waiting]
    const request = this.#requestOf(job, first, tasks.length, atOnce)
    datastore.scratch('jobs', flow, run)
    const stopped = AbortSignal.any(tasks.map(({ signal }) => signal))
    try {
      const submitted = await backend.submit(backend.plan(request), stopped, (text) => first.emit(noteOf(text)))
      const { id } = await this.#name(job, submitted.id)
      if (id !== submitted.id) {
        await Promise.allSettled(submitted.tasks.map((task) => task.cancel()))
        await journal.check()
      }
      this.#followAll(tasks, submitted)
    } finally {
      // On a busy disk those of an array take seconds: nobody waits for them, as a job that is faster writes its own.
      await this.#keepAll(tasks.map(({ task }) => task))
    }
  }

  /** Goes on with what an owner before this one has decided; hands over what that one could not. */
  async #takeUp(tasks: readonly Waiting[]): Promise<void> {
    const { backend } = this.#options
    const [first] = tasks as [Waiting & { readonly handed: Handed }]
    const { job, record } = first.handed
    await this.#keepAll(record.tasks.map(({ task }) => task))
    const request = this.#requestOf(job, first, record.tasks.length)
    const stopped = AbortSignal.any(tasks.map(({ signal }) => signal))
    const id = await this.#idOf(job, request, stopped)
    if (id === null) {
      stopped.throwIfAborted()
      return await this.#submit(tasks)
    }
    const indices = tasks.map(({ handed }) => handed!.index)
    this.#followAll(tasks, await backend.adopt(id, backend.plan(request), indices))
  }

  #followAll(tasks: readonly Waiting[], submitted: SubmittedJob): void {
    this.#open.set(submitted.id, (this.#open.get(submitted.id) ?? 0) + tasks.length)
    for (const [index, one] of tasks.entries())
      void followJob(one, submitted.tasks[index]!, {
        ...this.#options,
        outputs: this.#outputs,
        left: this.#left.promise,
      })
        .finally(() => {
          const left = this.#open.get(submitted.id)! - 1
          if (left > 0) this.#open.set(submitted.id, left)
          else this.#open.delete(submitted.id)
        })
        .then(one.resolve, one.reject)
  }

  /** The id of a job that was decided on; null where it never came to be, and now never will. */
  async #idOf(job: string, request: JobRequest, signal: AbortSignal): Promise<string | null> {
    const { backend, datastore, flow, run } = this.#options
    for (let unknown = 0; ; ) {
      const there = (await datastore.readRecord(keys.jobEngine(flow, run, job))) as unknown as JobEngine | undefined
      if (there) return there.id
      try {
        const id = await backend.find(request)
        if (id !== undefined) return (await this.#name(job, id)).id
        // Its submission may just be under way.
        if (++unknown === 2) {
          const named = await this.#name(job, null)
          if (named.id === null) this.#voided.push(request)
          return named.id
        }
      } catch (error) {
        // The engine does not answer: what it has cannot be guessed.
        if (!GangflowError.is(error) || signal.aborted) throw error
      }
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS))
    }
  }

  /** Under which id the engine has a job is said once: by its launcher, by the job itself, or by an owner after that launcher. */
  async #name(job: string, id: string | null): Promise<JobEngine> {
    const { datastore, flow, run } = this.#options
    const key = keys.jobEngine(flow, run, job)
    const engine: JobEngine = { id }
    if (await datastore.createRecord(key, json(engine))) return engine
    return (await datastore.readRecord(key)) as unknown as JobEngine
  }

  /** It leaves as soon as it starts, but would wait in the queue until then. */
  async #endLate(request: JobRequest): Promise<void> {
    const { backend } = this.#options
    const id = await backend.find(request)
    if (id === undefined) return
    const late = await backend.adopt(id, backend.plan(request), [...Array(request.count).keys()])
    await Promise.all(late.tasks.map((task) => task.cancel()))
  }

  #keepAll(tasks: readonly PlannedTask[]): Promise<unknown> {
    const { datastore, flow, run } = this.#options
    const kept = Promise.all(tasks.map((task) => keepTask(datastore, { flow, run }, task)))
    this.#kept = Promise.allSettled([this.#kept, kept])
    return kept
  }

  #recordOf(tasks: readonly Waiting[]): JobRecord {
    const { atOnce: _, timeoutMs: __, ...launch } = this.#options.launch
    return { version: 1, ...launch, tasks: tasks.map(({ task, attempt }) => ({ task, attempt })) }
  }

  #requestOf(job: string, { step, task }: JobAttempt, count: number, atOnce = this.#options.launch.atOnce): JobRequest {
    const about = atOnce === undefined ? this.#options : { ...this.#options, atOnce }
    return jobRequest(about, { step, count, job, gangSize: task.gangSize })
  }
}

/** What the engine is asked for; of a dry run, with `<run>` and `<job>` where these are drawn later. */
export function jobRequest(
  about: Pick<JobsOptions, 'flow' | 'run' | 'compiled' | 'datastore'> & { readonly atOnce?: number },
  { step, count, job, gangSize }: { step: StepDescription; count: number; job: string; gangSize?: number | undefined },
): JobRequest {
  const { flow, run, compiled, datastore, atOnce } = about
  return {
    flow,
    run,
    step,
    count,
    ...(gangSize === undefined ? {} : { gangSize }),
    ...(atOnce === undefined ? {} : { atOnce }),
    argv: [
      ...[process.execPath, join(compiled.core, 'dist', 'job.cjs')],
      ...[datastore.scratch('code'), datastore.location, flow, run, job],
    ],
    output: { directory: join(datastore.scratch('jobs'), flow, run), prefix: job },
    datastore: datastore.scratch(),
    workdir: dirname((compiled.description satisfies FlowDescription).file),
  }
}
