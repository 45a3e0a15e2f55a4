import type { AttemptFailedRecord, DoneRecord, TaskRecord } from '../datastore/records.js'
import type { FlowDescription } from '../flow/description.js'
import type { Handed } from './follow-job.js'
import type { JournalEntry } from './journal.js'
import { keyOf, Plan, type PlannedTask, positionOf } from './plan.js'
import { counted, type FailedAttempts } from './retry.js'

/** What an owner before this one has left of its run. */
export interface Left {
  readonly entries: readonly JournalEntry[]
  readonly specs: readonly Pick<TaskRecord, 'step' | 'task' | 'parents' | 'frames'>[]
  /** By `keyOf`. */
  readonly done: ReadonlyMap<string, DoneRecord>
  /** By `keyOf`, the attempts in order. */
  readonly failed: ReadonlyMap<string, readonly AttemptFailedRecord[]>
  /** Names of the entries whose job the engine has, or had. */
  readonly named: ReadonlySet<string>
}

/** A task that was begun: its last attempt, and those before it that failed. */
export interface Begun {
  readonly task: PlannedTask
  readonly attempt: number
  readonly failed: FailedAttempts
  readonly handed: Handed
  /** The attempt's end, where a launcher has written it: there is nothing to follow. */
  readonly ended?: AttemptFailedRecord
}

/** The state machine of a run as it stands. */
export interface Standing {
  readonly plan: Plan
  /** Tasks that are done. */
  readonly done: number
  readonly begun: readonly Begun[]
  readonly ready: readonly PlannedTask[]
  /** An owner before has decided that all is to end. */
  readonly stop?: JournalEntry & { readonly kind: 'stop' }
}

/** What only a launcher says of an attempt, and at its very end. */
const ofLauncher = new Set(['E_JOB_ENDED', 'E_JOB_STOPPED'])

/**
 * Walks a run's graph over its own finished tasks, giving every task the id that it has had. What was handed over is
 * followed from there on; what nobody decided on is ready. Pure.
 */
export function planStanding(description: FlowDescription, left: Left): Standing {
  const handed = lastHanded(left.entries)
  const known = new Map<string, { readonly step: string; readonly task: string }>()
  for (const spec of left.specs) known.set(positionOf(spec, spec.parents), spec)
  for (const { record, index } of handed.values()) {
    const { task } = record.tasks[index]!
    known.set(positionOf(task, task.parents), task)
  }
  const plan = new Plan(description, known)
  const begun: Begun[] = []
  const ready: PlannedTask[] = []
  const queue = [...plan.start()]
  let done = 0
  for (let next = 0; next < queue.length; next++) {
    const task = queue[next]!
    const key = keyOf(task)
    const record = left.done.get(key)
    const job = handed.get(key)
    if (record) {
      done += 1
      queue.push(...plan.complete(task, record))
    } else if (job) begun.push(begunOf(task, job, left))
    else ready.push(task)
  }
  const stop = left.entries.findLast((entry) => entry.kind === 'stop')
  return { plan, done, begun, ready, ...(stop ? { stop } : {}) }
}

function begunOf(task: PlannedTask, handed: Handed, { failed, named }: Left): Begun {
  const { attempt } = handed.record.tasks[handed.index]!
  const records = failed.get(keyOf(task)) ?? []
  const before = records.filter((one) => one.attempt < attempt)
  const last = records.find((one) => one.attempt === attempt)
  const over = last && (ofLauncher.has(last.verdict.code ?? '') || !named.has(handed.job))
  return {
    task,
    attempt,
    failed: before.reduce<FailedAttempts>((sum, { verdict }) => counted(sum, verdict.cause), {}),
    handed,
    ...(over ? { ended: last } : {}),
  }
}

/** By task, the last entry that hands it over. */
function lastHanded(entries: readonly JournalEntry[]): Map<string, Handed> {
  const handed = new Map<string, Handed>()
  for (const entry of entries) {
    if (entry.kind !== 'jobs') continue
    for (const [index, { task }] of entry.tasks.entries())
      handed.set(keyOf(task), { job: entry.name, record: entry, index })
  }
  return handed
}
