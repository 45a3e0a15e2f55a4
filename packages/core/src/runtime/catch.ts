import { joinTables, type ParentTable } from '../datastore/artifacts/join.js'
import type { ArtifactRef } from '../datastore/contract.js'
import { type ArtifactTable, type DoneRecord, keys, type NodeRecord } from '../datastore/records.js'
import type { StepDescription } from '../flow/description.js'
import type { AttemptOutcome } from './attempt.js'
import type { RunContext } from './context.js'
import type { PlannedTask } from './plan.js'
import { staticTransition } from './transition.js'

/** What `@catchError({ artifact })` leaves in the artifact. */
export interface CaughtError {
  readonly name: string
  readonly message: string
  readonly code?: string
  readonly stack?: string
  readonly step: string
  readonly task: string
  readonly attempts: number
  readonly cause: string
}

/** Stores a value as an artifact (`datastore/`). */
export type SaveArtifact = (value: unknown) => Promise<ArtifactRef>

/**
 * The DoneRecord that `@catchError` makes of the last attempt's failure: the artifacts that the task was given and
 * the error; or undefined when the failure is not to be caught.
 */
export async function caughtRecord(
  context: RunContext,
  task: PlannedTask,
  step: StepDescription,
  attempt: number,
  outcome: AttemptOutcome & { ok: false },
  save: SaveArtifact,
): Promise<DoneRecord | undefined> {
  const transition = step.catchError ? staticTransition(step) : undefined
  if (!transition || outcome.verdict.cause === 'cancelled') return undefined
  const given = await givenArtifacts(context, task)
  const name = step.catchError?.artifact
  const artifacts =
    name === undefined ? given.artifacts : { ...given.artifacts, [name]: await save(error(task, attempt, outcome)) }
  const { gangSize } = task
  const nodes = gangSize === undefined ? undefined : [...Array(gangSize).keys()].map((node) => member(node, artifacts))
  return {
    attempt,
    epoch: 1,
    startedAt: outcome.startedAt,
    endedAt: Date.now(),
    ...given,
    artifacts,
    transition,
    ...(nodes ? { nodes } : {}),
    caught: outcome.verdict,
  }
}

const member = (node: number, artifacts: ArtifactTable): NodeRecord => ({
  node,
  host: '',
  control: node === 0,
  artifacts,
})

/** What the task began with: its parent's artifacts, for a join those on which its parents agree. */
async function givenArtifacts(
  context: RunContext,
  task: PlannedTask,
): Promise<Pick<DoneRecord, 'artifacts' | 'ambiguous'>> {
  const { flow, run } = context.record
  const parents: ParentTable[] = []
  for (const { step, task: id, node } of task.parents) {
    const done = (await context.datastore.readRecord(keys.done({ flow, run, step, task: id }))) as unknown as DoneRecord
    const { artifacts, ambiguous } = node === undefined ? done : { ...done, ...done.nodes?.[node] }
    parents.push({ step, artifacts, ambiguous })
  }
  const { artifacts, ambiguous } = joinTables(parents)
  return Object.keys(ambiguous).length > 0 ? { artifacts, ambiguous } : { artifacts }
}

function error(task: PlannedTask, attempt: number, { verdict, error }: AttemptOutcome & { ok: false }): CaughtError {
  const thrown = verdict.first?.error
  return {
    name: (error as { name?: string } | undefined)?.name ?? 'Error',
    message: thrown?.message ?? error?.what ?? verdict.summary,
    ...(verdict.code === undefined ? {} : { code: verdict.code }),
    ...(thrown?.stack === undefined ? {} : { stack: thrown.stack }),
    step: task.step,
    task: task.task,
    attempts: attempt + 1,
    cause: verdict.cause,
  }
}
