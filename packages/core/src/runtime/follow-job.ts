import { deferred } from '../body/deferred.js'
import type { Datastore } from '../datastore/contract.js'
import { type AttemptFailedRecord, type DoneRecord, keys } from '../datastore/records.js'
import type { ErrorFacts } from '../errors/base.js'
import type { StepDescription } from '../flow/description.js'
import type { JobEnd, JobTask } from '../gang/job-contract.js'
import { JobOutput } from './job-output.js'
import type { JobOutputs } from './job-outputs.js'
import type { JobBegan, JobLast, JobRecord } from './job-record.js'
import { PastLines } from './past-lines.js'
import type { PlannedTask } from './plan.js'

/** Milliseconds for a record to be seen here that was written on another host. */
const SEEN_MS = 5_000
/** Milliseconds that a job whose task is committed has for storing its output, until it is ended. */
const LAST_MS = 60_000

/** Where an owner before this one has handed a task over. */
export interface Handed {
  /** The journal's entry. */
  readonly job: string
  readonly record: JobRecord
  readonly index: number
}

export interface JobAttempt {
  readonly task: PlannedTask
  readonly step: StepDescription
  readonly attempt: number
  /** It was handed over already. */
  readonly handed?: Handed
  /** Aborted when the task is to end. */
  readonly signal: AbortSignal
  /** Aborted when an engine that does not answer is not waited for any longer. */
  readonly kill: AbortSignal
  /** What the job tells of the task, an event of a run without its time; or a note about its place in the queue. */
  emit(event: { readonly type: string }): void
  /** Takes the promise that a job whose task is committed has ended. */
  keep(ending: Promise<void>): void
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

export interface Following {
  readonly datastore: Datastore
  readonly flow: string
  readonly run: string
  readonly outputs: JobOutputs
  /** Rejects when jobs are not followed any longer. */
  readonly left: Promise<never>
}

/** Follows one task in its job to its committed end. Rejects only as `left`, the datastore or the job's `cancel` does. */
export async function followJob(
  { task, attempt, signal, kill, emit, handed, keep }: JobAttempt,
  job: JobTask,
  { datastore, flow, run, outputs, left }: Following,
): Promise<JobOutcome> {
  const address = { flow, run, step: task.step, task: task.task, attempt }
  let last: (JobLast & { readonly error?: ErrorFacts }) | undefined
  let restarts = 0
  let committed = false
  let change = deferred<void>()
  const changed = () => {
    change.resolve()
    change = deferred()
  }
  const past = handed ? new PastLines(emit) : undefined
  const output = new JobOutput(job.output, (event) => {
    if (event.type === 'job-began' || event.type === 'job-ended') {
      const told = event as unknown as JobBegan | JobLast
      // Of a former start that lives on somewhere nothing counts.
      if ((told.restarts ?? 0) < restarts) return
      restarts = told.restarts ?? 0
      last = told.type === 'job-ended' ? told : undefined
      if (told.type === 'job-began' && restarts > 0) emit(noteOf(`its job was started again (${restarts})`))
      changed()
    } else if (event.type === 'job-done') {
      committed = true
      changed()
    } else if (!past?.took(event)) emit(event)
  })
  job.onNote((text) => {
    emit(noteOf(text))
    // It may just have begun.
    void output.read().catch(() => {})
  })
  const unheard = deferred<never>()
  unheard.promise.catch(() => {})
  const cancel = () => void job.cancel(kill).catch((error: unknown) => unheard.reject(error))
  signal.addEventListener('abort', cancel, { once: true })
  if (signal.aborted) cancel()
  let end: JobEnd | undefined
  const wait = async (): Promise<void> => {
    end = (await Promise.race([job.ended, change.promise, left, unheard.promise])) ?? undefined
    await output.read()
  }
  const over = () => end !== undefined || last !== undefined
  const leave = () => {
    signal.removeEventListener('abort', cancel)
    outputs.delete(job.output)
  }
  let leaving = false
  try {
    if (past) {
      await output.read()
      past.tell()
    }
    outputs.add(job.output, output)
    // One that was told to end may be started again, or was ended for a reason that the engine knows.
    while (end === undefined && !committed && (last === undefined || last.stopped)) await wait()
    for (const until = performance.now() + SEEN_MS; ; await new Promise((resolve) => setTimeout(resolve, 100))) {
      const about = { id: job.id, ...(end ? { end } : {}), ...aboutLast(last), others: output.others }
      const done = (await datastore.readRecord(keys.done(address))) as unknown as DoneRecord | undefined
      if (done) {
        leaving = !over()
        // Who leaves the jobs alone does not wait for this one either.
        if (leaving)
          keep(
            within(LAST_MS, wait, over, () => job.cancel(kill))
              .catch(() => {})
              .finally(leave),
          )
        return { ...about, done }
      }
      const failed = (await datastore.readRecord(keys.attemptFailed(address))) as unknown as
        | AttemptFailedRecord
        | undefined
      if (failed) return { ...about, failed }
      if (end && (last === undefined || performance.now() > until)) return about
      if (performance.now() > until) await wait()
    }
  } finally {
    if (!leaving) leave()
  }
}

/** Waits until it holds, for so long at most. */
async function within(
  ms: number,
  wait: () => Promise<void>,
  holds: () => boolean,
  late: () => Promise<void>,
): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const over = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms)
  })
  try {
    for (const until = performance.now() + ms; !holds() && performance.now() < until; )
      await Promise.race([wait(), over])
  } finally {
    clearTimeout(timer)
  }
  if (!holds()) await late()
}

/** An event of a run without its time and task. */
export const noteOf = (text: string): { readonly type: string } => ({ type: 'note', text }) as { readonly type: string }

const aboutLast = (last: (JobLast & { readonly error?: ErrorFacts }) | undefined) => ({
  accounted: last !== undefined,
  ...(last?.stopped ? { stopped: true } : {}),
  ...(last?.error ? { error: last.error } : {}),
})
