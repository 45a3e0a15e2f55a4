import type { StopReason } from '../body/contract.js'
import { type AttemptAddress, keys } from '../datastore/records.js'
import { type ErrorFacts, GangflowError } from '../errors/base.js'
import type { Verdict } from '../errors/verdict.js'
import type { AttemptOutcome, AttemptRequest } from './attempt.js'
import type { RunContext } from './context.js'
import type { RunEvent } from './contract.js'
import type { Timeless } from './control.js'
import type { JobOutcome } from './follow-job.js'
import { type Jobs, JobsLeft } from './jobs.js'
import { isTakenOver } from './journal.js'
import { json } from './run-record.js'
import { launcherVerdict } from './verdict.js'

/**
 * Runs one attempt in a job of the backend's engine, which commits it; without that, the engine's word is the account.
 * `unseen`: nothing was begun, as the job's node does not see the datastore, and there is another way.
 */
export async function runInJob(
  context: RunContext,
  jobs: Jobs,
  request: AttemptRequest,
  address: AttemptAddress,
): Promise<AttemptOutcome | 'unseen'> {
  const { task, step, attempt, signal, handed, keepLog: keep } = request
  const id = { step: task.step, task: task.task, attempt }
  const startedAt = Date.now()
  // What a job says is of its own time; the launcher's events are in the launcher's order.
  const emit = ({ at: _, ...event }: { readonly at?: number; readonly type: string }) =>
    context.control.emit({ ...event, ...id } as unknown as Timeless<RunEvent>)
  let outcome: JobOutcome
  try {
    const { kill } = context.control
    outcome = await jobs.run({ task, step, attempt, signal, kill, emit, keep, ...(handed ? { handed } : {}) })
    const { unseen, host } = outcome.end ?? {}
    if (unseen && !signal.aborted && jobs.relay(host, emit)) {
      // From here on its tasks end with this launcher.
      context.control.detachable(false)
      const { flow, run } = address
      await context.datastore.createRecord(keys.relayed(flow, run), json({ host: host ?? null, at: Date.now() }))
      return 'unseen'
    }
  } catch (error) {
    if (error instanceof JobsLeft || isTakenOver(error)) throw error
    if (signal.aborted) {
      const left = GangflowError.is(error) && /_UNHEARD$/.test(error.code) ? { error: error.toJSON() } : {}
      return { ok: false, verdict: stopped(signal.reason as StopReason, step.name), startedAt, ...left }
    }
    if (!GangflowError.is(error)) throw error
    return { ok: false, verdict: launcherVerdict(causeOf(error), error), error: error.toJSON(), startedAt }
  }
  const { done, failed, error, end, stopped: told } = outcome
  if (done) return { ok: true, done, ranMs: done.endedAt - done.startedAt }
  if (signal.aborted) return { ok: false, verdict: stopped(signal.reason as StopReason, step.name), startedAt }
  // The job knew only that somebody wanted its end; the engine knows who.
  const outside = (told === true || !outcome.accounted) && end?.cause !== undefined
  const verdict = failed && !outside ? failed.verdict : lost(outcome, address)
  if (outside) await context.journal?.check()
  if (failed && outside) await context.datastore.putRecord(keys.attemptFailed(address), json({ ...failed, verdict }))
  return { ok: false, verdict, startedAt, ...(error ? { error } : {}) }
}

/** What the person asked for and the engine refused is the person's to correct. */
const causeOf = ({ code }: ErrorFacts): Verdict['cause'] =>
  /_(REFUSED|OPTION|NOT_SHARED)$/.test(code) ? 'user' : 'infrastructure'

const stopped = ({ cause, why }: StopReason, step: string): Verdict => ({
  ...launcherVerdict(cause, { code: 'E_JOB_STOPPED', what: `the job of step '${step}' was stopped: ${why}` }),
  stopped: [{ kind: 'body' }],
})

/** Nothing of the task was committed, or only how it was stopped: what the engine says, and what was written into the job's output. */
function lost({ id, end, others, failed }: JobOutcome, { step }: AttemptAddress): Verdict {
  const how = end ? `${end.summary} (${end.state})` : 'left no account of its task'
  return {
    ...launcherVerdict(end?.cause ?? 'infrastructure', {
      code: 'E_JOB_ENDED',
      what: `job ${id} of step '${step}' ${how}`,
      fix: end?.fix ?? "see its last lines, and what the engine's own logs say of it",
    }),
    stopped: failed?.verdict.stopped ?? [],
    ...(failed?.verdict.endedAfterMs === undefined ? {} : { endedAfterMs: failed.verdict.endedAfterMs }),
    first: {
      kind: 'member',
      ...(end?.host === undefined ? {} : { host: end.host }),
      ...(end?.exitCode ? { exitCode: end.exitCode } : {}),
      ...(end?.signal ? { signal: end.signal } : {}),
      ...(end?.state === 'OUT_OF_MEMORY' ? { outOfMemory: true } : {}),
      ...(others.length > 0 ? { lastLines: others } : {}),
    },
  }
}
