import type { Cause } from '@gangflow/core'
import type { JobEnd } from '@gangflow/core/backend'
import type { JobDetails } from './parse.js'

type Meaning = Omit<JobEnd, 'state'>

const again = '@retry({ infrastructure: 2, preempted: 10 }) starts the task anew'

/** What each state means that a job ends in. */
const ends: Readonly<Record<string, Meaning>> = {
  COMPLETED: { summary: 'ended by itself' },
  FAILED: { cause: 'infrastructure', summary: 'failed' },
  CANCELLED: { cause: 'cancelled', summary: 'was cancelled', fix: 'somebody ended it with scancel: ask who may' },
  TIMEOUT: {
    cause: 'timeout',
    summary: 'reached its time limit',
    fix: "ask for more: @slurm({ time: '4h' }), or --backend-option time=4h",
  },
  DEADLINE: { cause: 'timeout', summary: 'reached its deadline', fix: 'ask for less, or for a later deadline' },
  NODE_FAIL: { cause: 'infrastructure', summary: 'lost a node', fix: again },
  BOOT_FAIL: { cause: 'infrastructure', summary: 'got a node that did not boot', fix: again },
  PREEMPTED: { cause: 'preempted', summary: 'was preempted by another job', fix: again },
  OUT_OF_MEMORY: {
    cause: 'infrastructure',
    summary: 'ran out of memory',
    fix: "ask for more: @resources({ memory: 16_000 }), or @slurm({ mem: '16G' })",
  },
  REVOKED: { cause: 'cancelled', summary: 'was taken over by another cluster' },
  UNKNOWN: {
    cause: 'infrastructure',
    summary: 'is not known to Slurm any more',
    fix: 'its controller was started anew without its jobs, or keeps ended ones for too short a time: see MinJobAge',
  },
}

/** Whether a job in this state is not going to run any more. */
export const isEnd = (state: string): boolean => state in ends

/** States that a job may pass through on its way back into the queue. */
export const mayReturn = (state: string): boolean => ['PREEMPTED', 'NODE_FAIL', 'BOOT_FAIL'].includes(state)

const names: Readonly<Record<number, string>> = {
  1: 'SIGHUP',
  2: 'SIGINT',
  6: 'SIGABRT',
  9: 'SIGKILL',
  11: 'SIGSEGV',
  15: 'SIGTERM',
}

/** A job's end in words. `details` are scontrol's. */
export function endOf(state: string, details?: JobDetails): JobEnd {
  const meaning = ends[state] ?? { cause: 'infrastructure' as Cause, summary: 'ended' }
  const { exitCode = 0, signal = 0, nodes = '', restarts = 0, reason = '' } = details ?? {}
  const exit = exitCode > 0 && state === 'FAILED' ? ` with exit code ${exitCode}` : ''
  // slurmd's own codes for what it could not do.
  const unopened = state === 'FAILED' && signal === 53
  return {
    state,
    ...meaning,
    summary: unopened ? 'could not open its output file on its node' : `${meaning.summary}${exit}`,
    ...(unopened
      ? { fix: 'let the datastore be a directory that every node sees at the same path: --datastore DIR' }
      : {}),
    ...(exitCode === 66
      ? { fix: 'let the datastore be a directory that every node sees at the same path: --datastore DIR' }
      : {}),
    ...(state === 'FAILED' && /^(JobHoldMaxRequeue|launch_failed|RaisedSignal)/i.test(reason)
      ? { summary: `failed (${reason})` }
      : {}),
    ...(nodes === '' ? {} : { host: nodes }),
    ...(exitCode > 0 ? { exitCode } : {}),
    ...(signal > 0 && !unopened ? { signal: names[signal] ?? `signal ${signal}` } : {}),
    ...(restarts > 0 ? { restarts } : {}),
  }
}

/** Why a job waits, as its reason says: a clause for people. */
export function whyWaiting({
  state,
  reason,
  start,
  ahead,
}: {
  readonly state: string
  readonly reason: string
  readonly start: string
  /** Jobs before it, as far as the site lets see them. */
  readonly ahead?: number | undefined
}): string | undefined {
  if (state === 'SUSPENDED' || state === 'STOPPED') return 'its job is suspended'
  if (state === 'REQUEUE_HOLD' || state === 'SPECIAL_EXIT') return 'its job is held: `scontrol release` lets it go on'
  if (state === 'CONFIGURING') return 'its nodes are being made ready'
  if (state !== 'PENDING') return undefined
  const meaning: Readonly<Record<string, string>> = {
    None: 'its job is in the queue',
    Resources: 'its job waits for free nodes',
    Priority: 'its job waits for others of higher priority',
    BeginTime: 'its job waits for its time to begin',
    Dependency: 'its job waits for another',
    JobHeldUser: 'its job is held by its user: `scontrol release` lets it go on',
    JobHeldAdmin: 'its job is held by an administrator',
    JobArrayTaskLimit: 'its job waits for others of its array',
    ReqNodeNotAvail: 'its job waits for nodes that are down or reserved',
  }
  const why = meaning[reason.split(',')[0]!] ?? 'its job waits'
  const soon = start === '' ? '' : `, expected to start at ${start.replace('T', ' ')}`
  const place = ahead === undefined ? '' : ahead === 0 ? ', first of its queue' : `, ${ahead} before it`
  return `${why} (${reason})${place}${soon}`
}
