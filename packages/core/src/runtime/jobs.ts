import { randomBytes } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { deferred } from '../body/deferred.js'
import type { CompiledFlow } from '../compile/contract.js'
import type { Datastore } from '../datastore/contract.js'
import { type AttemptFailedRecord, type DoneRecord, keys } from '../datastore/records.js'
import type { ErrorFacts } from '../errors/base.js'
import type { FlowDescription, GangTimeouts, StepDescription } from '../flow/description.js'
import type { Json } from '../flow/values.js'
import type { JobBackend, JobEnd, JobRequest, JobTask } from '../gang/job-contract.js'
import { JobOutput } from './job-output.js'
import type { JobBegan, JobLast, JobRecord, JobSubmitted } from './job-record.js'
import type { PlannedTask } from './plan.js'
import { json } from './run-record.js'

/** Milliseconds in which tasks that become ready are handed over together. */
const GATHER_MS = 10
/** Milliseconds between two looks at what jobs have written; longer where there are many. */
const LOOK_MS = 100
/** Milliseconds for a record to be seen here that was written on another host. */
const SEEN_MS = 5_000
/** As many tasks are one array at most: engines have limits, 1001 is one's default. */
const ARRAY = 1_000

export interface JobsOptions {
  readonly backend: JobBackend
  /** As `JobRecord.backend` and `options` name it. */
  readonly name: string
  readonly options: Readonly<Record<string, Json>>
  readonly flow: string
  readonly run: string
  readonly compiled: CompiledFlow
  readonly datastore: Datastore
  readonly env: Readonly<Record<string, string>>
  readonly tags: readonly string[]
  readonly gangTimeouts: Partial<GangTimeouts>
  readonly atOnce?: number
}

export interface JobAttempt {
  readonly task: PlannedTask
  readonly step: StepDescription
  readonly attempt: number
  readonly recorded: Promise<unknown>
  /** Aborted when the task is to end. */
  readonly signal: AbortSignal
  /** What the job tells of the task, an event of a run without its time; or a note about its place in the queue. */
  emit(event: { readonly type: string }): void
}

/** How an attempt in a job ended: what is in the datastore counts, and only without it what the engine says. */
export interface JobOutcome {
  readonly id: string
  readonly done?: DoneRecord
  readonly failed?: AttemptFailedRecord
  readonly error?: ErrorFacts
  /** It has told its end itself. */
  readonly accounted: boolean
  /** It was told to end by a signal. */
  readonly stopped?: boolean
  /** Absent where the job told its end and nobody waited for the engine's word. */
  readonly end?: JobEnd
  /** What others have written into the job's output, oldest first. */
  readonly others: readonly string[]
}

interface Waiting extends JobAttempt {
  resolve(outcome: JobOutcome): void
  reject(error: unknown): void
}

/** The jobs of one run: tasks that become ready together are handed over together. */
export class Jobs {
  readonly #options: JobsOptions
  #waiting: Waiting[] = []
  readonly #outputs = new Set<JobOutput>()
  #timer: NodeJS.Timeout | undefined

  constructor(options: JobsOptions) {
    this.#options = options
  }

  /** Runs one attempt in a job. Rejects when it cannot be handed over. */
  run(attempt: JobAttempt): Promise<JobOutcome> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.length === 0) setTimeout(() => this.#handOver(), GATHER_MS)
      this.#waiting.push({ ...attempt, resolve, reject })
    })
  }

  /** What the jobs have told is kept of a run that did not end well: their engine's last words are in it. */
  async close(whole: boolean): Promise<void> {
    clearTimeout(this.#timer)
    this.#outputs.clear()
    const { backend, datastore, flow, run } = this.#options
    backend.close()
    if (whole) await rm(join(datastore.scratch('jobs'), flow, run), { recursive: true, force: true })
  }

  #handOver(): void {
    const groups = new Map<string, Waiting[]>()
    for (const one of this.#waiting.splice(0)) {
      const key = `${one.step.name}/${one.task.gangSize ?? ''}`
      const alike = groups.get(key) ?? []
      groups.set(key, alike)
      alike.push(one)
    }
    for (const alike of groups.values())
      for (let at = 0; at < alike.length; at += ARRAY) {
        const tasks = alike.slice(at, at + ARRAY)
        this.#submit(tasks).catch((error: unknown) => {
          for (const one of tasks) one.reject(error)
        })
      }
  }

  async #submit(tasks: readonly Waiting[]): Promise<void> {
    const { backend, datastore, flow, run } = this.#options
    await Promise.all(tasks.map(({ recorded }) => recorded))
    const job = randomBytes(5).toString('hex')
    const [first] = tasks as [Waiting]
    await datastore.createRecord(keys.job(flow, run, job), json(this.#recordOf(tasks)))
    const request = jobRequest(this.#options, {
      step: first.step,
      count: tasks.length,
      job,
      gangSize: first.task.gangSize,
    })
    datastore.scratch('jobs', flow, run)
    const stopped = AbortSignal.any(tasks.map(({ signal }) => signal))
    const submitted = await backend.submit(backend.plan(request), stopped)
    await datastore.createRecord(keys.jobEngine(flow, run, job), json({ id: submitted.id } satisfies JobSubmitted))
    for (const [index, one] of tasks.entries())
      void this.#follow(one, submitted.tasks[index]!).then(one.resolve, one.reject)
  }

  #recordOf(tasks: readonly Waiting[]): JobRecord {
    const { name, options, compiled, env, tags, gangTimeouts } = this.#options
    const { file, bundle, core, ref } = compiled
    return {
      version: 1,
      backend: name,
      options,
      compiled: { file, bundle, core, ref },
      env,
      tags,
      gangTimeouts,
      tasks: tasks.map(({ task, attempt }) => ({ task, attempt })),
    }
  }

  async #follow({ task, attempt, signal, emit }: Waiting, job: JobTask): Promise<JobOutcome> {
    const { datastore, flow, run } = this.#options
    const address = { flow, run, step: task.step, task: task.task, attempt }
    let last: (JobLast & { readonly error?: ErrorFacts }) | undefined
    let restarts = 0
    let change = deferred<void>()
    const output = new JobOutput(job.output, (event) => {
      if (event.type === 'job-began' || event.type === 'job-ended') {
        const told = event as unknown as JobBegan | JobLast
        // Of a former start that lives on somewhere nothing counts.
        if ((told.restarts ?? 0) < restarts) return
        restarts = told.restarts ?? 0
        last = told.type === 'job-ended' ? told : undefined
        if (told.type === 'job-began' && restarts > 0) emit(noteOf(`its job was started again (${restarts})`))
        change.resolve()
        change = deferred()
      } else emit(event)
    })
    job.onNote((text) => emit(noteOf(text)))
    const cancel = () => void job.cancel()
    signal.addEventListener('abort', cancel, { once: true })
    if (signal.aborted) cancel()
    this.#look(output)
    let end: JobEnd | undefined
    const wait = async (): Promise<void> => {
      end = (await Promise.race([job.ended, change.promise])) ?? undefined
      await output.read()
    }
    try {
      // One that was told to end may be started again, or was ended for a reason that the engine knows.
      do await wait()
      while (end === undefined && (last === undefined || last.stopped))
      for (const until = performance.now() + SEEN_MS; ; await new Promise((resolve) => setTimeout(resolve, 100))) {
        const about = { id: job.id, ...(end ? { end } : {}), ...aboutLast(last), others: output.others }
        const done = (await datastore.readRecord(keys.done(address))) as unknown as DoneRecord | undefined
        if (done) return { ...about, done }
        const failed = (await datastore.readRecord(keys.attemptFailed(address))) as unknown as
          | AttemptFailedRecord
          | undefined
        if (failed) return { ...about, failed }
        if (end && (last === undefined || performance.now() > until)) return about
        if (performance.now() > until) await wait()
      }
    } finally {
      signal.removeEventListener('abort', cancel)
      this.#outputs.delete(output)
    }
  }

  #look(output: JobOutput): void {
    this.#outputs.add(output)
    if (this.#outputs.size > 1) return
    const look = async () => {
      await Promise.all([...this.#outputs].map((one) => one.read().catch(() => {})))
      if (this.#outputs.size > 0) this.#timer = setTimeout(look, Math.max(LOOK_MS, this.#outputs.size))
    }
    clearTimeout(this.#timer)
    this.#timer = setTimeout(look, LOOK_MS)
  }
}

const noteOf = (text: string): { readonly type: string } => ({ type: 'note', text }) as { readonly type: string }

const aboutLast = (last: (JobLast & { readonly error?: ErrorFacts }) | undefined) => ({
  accounted: last !== undefined,
  ...(last?.stopped ? { stopped: true } : {}),
  ...(last?.error ? { error: last.error } : {}),
})

/** What the engine is asked for; of a dry run, with `<run>` and `<job>` where these are drawn later. */
export function jobRequest(
  about: Pick<JobsOptions, 'flow' | 'run' | 'compiled' | 'datastore' | 'atOnce'>,
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
    argv: [process.execPath, join(compiled.core, 'dist', 'job.js'), datastore.location, flow, run, job],
    output: { directory: join(datastore.scratch('jobs'), flow, run), prefix: job },
    datastore: datastore.scratch(),
    workdir: dirname((compiled.description satisfies FlowDescription).file),
  }
}
