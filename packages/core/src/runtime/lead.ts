import { rm } from 'node:fs/promises'
import type { StopReason } from '../body/contract.js'
import type { Datastore } from '../datastore/contract.js'
import { recoverSpools } from '../datastore/logs/recover.js'
import { keys, type LeftRecord } from '../datastore/records.js'
import type { ErrorFacts } from '../errors/base.js'
import type { SaveArtifact } from './catch.js'
import type { RunContext } from './context.js'
import type { RunResult } from './contract.js'
import { FAILURE_GRACE_MS } from './control.js'
import { isTakenOver } from './journal.js'
import { type LoopEnd, type LoopStart, RunLoop } from './loop.js'
import type { Plan } from './plan.js'
import type { RunRequest } from './run.js'
import { faultFacts } from './run-error.js'
import { endRun, json } from './run-record.js'
import { keepSeen } from './seen.js'
import { unlessHung } from './unless-hung.js'
import { withVerdict } from './verdict.js'

/** Milliseconds between two signs of life of a launcher that another one may follow. */
const ATTACHABLE_SEEN_MS = 5_000

/** Runs what the plan says from a start on, as the run's owner. */
export async function perform(
  context: RunContext,
  { timeoutMs }: Pick<RunRequest, 'timeoutMs'>,
  plan: Plan,
  start: LoopStart,
  save: SaveArtifact,
): Promise<LoopEnd> {
  const loop = new RunLoop(context, plan, save)
  const late = () => {
    const what = `the run did not end within its timeout of ${timeoutMs! / 1000} s`
    const reason: StopReason = { cause: 'cancelled', why: what, graceMs: FAILURE_GRACE_MS }
    const error = withVerdict('timeout', { code: 'E_RUN_TIMEOUT', what, fix: "raise the run's timeout" })
    loop.stop(reason, { status: 'failed', error })
  }
  const { flow, run } = context.record
  const { journal } = context
  const endSeen = keepSeen(context.datastore, {
    flow,
    run,
    ...(journal && {
      owner: journal.owner,
      everyMs: ATTACHABLE_SEEN_MS,
      check: () => journal.check(),
      lost: (error: unknown) => isTakenOver(error) && loop.lose(error),
    }),
  })
  const timer = timeoutMs === undefined ? undefined : setTimeout(late, Math.min(timeoutMs, 2 ** 31 - 1))
  try {
    return await loop.run(start)
  } finally {
    endSeen()
    clearTimeout(timer)
  }
}

/** Writes the end down, tells it, and gives it. That it cannot be written is then the run's failure. */
export async function conclude(context: RunContext, performed: LoopEnd, startedAt: number): Promise<RunResult> {
  const { datastore, control, record } = context
  const { flow, run } = record
  const end = await writeEnd(context, performed)
  if (end.status === 'detached' || end.status === 'taken-over') {
    const result: RunResult = { flow, run, durationMs: performance.now() - startedAt, ...end }
    control.emit({ type: 'run-ended', result })
    return result
  }
  await unlessHung(end, rm(context.temp, { recursive: true, force: true })).catch(() => {})
  if (record.origin) await unlessHung(end, recoverOrigin(datastore, flow, record.origin.run)).catch(() => {})
  const durationMs = performance.now() - startedAt
  const result: RunResult = { flow, run, status: end.status, durationMs, ...(end.error ? { error: end.error } : {}) }
  control.emit({ type: 'run-ended', result })
  return result
}

/** The last decision of an owner, and then what everybody reads. */
async function writeEnd({ datastore, journal, record }: RunContext, performed: LoopEnd): Promise<LoopEnd> {
  const { flow, run } = record
  const { status } = performed
  if (status === 'taken-over') return performed
  try {
    if (status === 'detached') {
      await datastore.createRecord(keys.left(flow, run, journal!.owner), json({ at: Date.now() } satisfies LeftRecord))
      return performed
    }
    const end = { ...performed, status, endedAt: Date.now() }
    await journal?.append({ kind: 'end', end })
    await endRun(datastore, flow, run, end)
    return performed
  } catch (error) {
    if (isTakenOver(error)) return { status: 'taken-over', error: error.toJSON() }
    return { status: 'failed', error: errorOf(performed) ?? faultFacts(error) }
  }
}

/** What an origin whose launcher was killed has left on this machine: its last lines are stored, the rest goes. */
async function recoverOrigin(datastore: Datastore, flow: string, run: string): Promise<void> {
  if (await datastore.readRecord(keys.end(flow, run))) return
  await recoverSpools(datastore, { run: { flow, run } })
  await rm(datastore.scratch('tmp', flow, run), { recursive: true, force: true })
}

const errorOf = (end: LoopEnd): ErrorFacts | undefined => ('error' in end ? end.error : undefined)
