import type { Cause } from '@gangflow/core'
import type { JobEnd } from '@gangflow/core/backend'
import type { JobRow } from './parse.js'

type Meaning = Omit<JobEnd, 'state'>

const sharedDisk = 'let the datastore be a directory that every node sees at the same path: --datastore DIR'
const moreMemory = "ask for more: @resources({ memory: 16_000 }), or @slurm({ mem: '16G' })"
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
    fix: moreMemory,
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

/** On its way out, or back into the queue: what it is to become is told in a moment. */
export const isPassing = (state: string): boolean =>
  ['COMPLETING', 'STAGE_OUT', 'REQUEUED', 'REQUEUE_FED', 'SIGNALING', 'RESIZING'].includes(state)

/** Milliseconds after its deadline in which Slurm ends a job that waits: its schedulers look every half or whole minute. */
const LATE_MS = 60_000

/** Whether a job waits past its deadline. Slurm ends none that is held or depends on another, and lets it wait for ever. */
export const isLate = ({ state, deadline, reason }: JobRow, now: number): boolean =>
  state === 'PENDING' && (/^Deadline/i.test(reason) || (deadline !== undefined && now > deadline + LATE_MS))

const names: Readonly<Record<number, string>> = {
  1: 'SIGHUP',
  2: 'SIGINT',
  6: 'SIGABRT',
  9: 'SIGKILL',
  11: 'SIGSEGV',
  15: 'SIGTERM',
}

/** A job's end in words: `row` as Slurm tells it. */
export function endOf(row: Pick<JobRow, 'state'> & Partial<JobRow>): JobEnd {
  const { state, exitCode = 0, signal = 0, nodes = '', restarts = 0, reason = '' } = row
  const meaning = special(row) ?? ends[state] ?? { cause: 'infrastructure' as Cause, summary: 'ended' }
  const ran = nodes !== '' || exitCode > 0
  return {
    state,
    ...meaning,
    ...(state === 'CANCELLED' && /^Dependency/.test(reason) ? { summary: `was cancelled: ${reason}` } : {}),
    ...(state === 'DEADLINE' && !ran && known(reason)
      ? { summary: `reached its deadline in the queue: ${reason}` }
      : {}),
    ...(exitCode === UNSEEN ? { fix: sharedDisk } : {}),
    ...(exitCode === UNSEEN || (state === 'FAILED' && signal === OWN) ? { unseen: true } : {}),
    ...(nodes === '' ? {} : { host: nodes }),
    ...(exitCode > 0 ? { exitCode } : {}),
    ...(signal > 0 && signal < OWN && ran ? { signal: names[signal] ?? `signal ${signal}` } : {}),
    ...(restarts > 0 ? { restarts } : {}),
  }
}

const known = (reason: string): boolean => !/^(|None|DeadLine)$/i.test(reason)

/** Exit code of the script where it does not see the datastore. */
const UNSEEN = 66
/** From here on what is written as a signal is none: 53 is slurmd's word for a file that it could not open, 125 that of memory. */
const OWN = 53

/** What FAILED means by the words that come with it. */
function special({ state, exitCode = 0, signal = 0, nodes = '', reason = '' }: Partial<JobRow>): Meaning | undefined {
  if (state !== 'FAILED') return undefined
  if (signal === OWN)
    return { cause: 'infrastructure', summary: 'could not open its output file on its node', fix: sharedDisk }
  if (nodes === '' && /^(BadConstraints|Invalid|Association|QOS|Partition|AccountNotAllowed)/.test(reason))
    return {
      cause: 'user',
      summary: `asks for what the cluster cannot give: ${reason}`,
      fix: '`sinfo` shows what it has; `gangflow run … --dry-run` shows what is asked for',
    }
  if (signal > 0 && signal < OWN && nodes !== '')
    return {
      cause: 'infrastructure',
      summary: `was ended by ${names[signal] ?? `signal ${signal}`}`,
      // Not every site has its word for it.
      ...(signal === 9
        ? { fix: `its last lines say by whom; where it held more memory than it may, ${moreMemory}` }
        : {}),
    }
  if (/^(JobHoldMaxRequeue|launch[ _]failed|JobLaunchFailure)/i.test(reason))
    return { cause: 'infrastructure', summary: `failed: ${reason}` }
  return exitCode > 0 ? { cause: 'infrastructure', summary: `failed with exit code ${exitCode}` } : undefined
}

/** What Slurm's reasons mean; those that no time mends first. */
const reasons: readonly (readonly [RegExp, string])[] = [
  [/^PartitionTimeLimit/, 'its job cannot start: it asks for more time than its partition gives'],
  [/^PartitionNodeLimit/, 'its job cannot start: it asks for more nodes than its partition gives to one'],
  [/^(PartitionConfig|BadConstraints)/, 'its job cannot start: no nodes are as it asks for'],
  [
    /^(InvalidAccount|InvalidQOS|AccountNotAllowed|QOSNotAllowed)/,
    'its job waits: see whether its account and QOS are right',
  ],
  [/^DependencyNeverSatisfied/, 'its job cannot start: what it depends on has failed'],
  [/^(QOS|Assoc)\w*PerJob/, 'its job cannot start: it asks for more than its account may for one job'],
  [/^(PartitionDown|PartitionInactive)/, 'its job waits for its partition, which is closed'],
  [/^(QOS|Assoc|MaxJobs|Max\w*PerAccount)/, 'its job waits for others of its account, whose limit is reached'],
  [/^None/, 'its job is in the queue'],
  [/^Resources/, 'its job waits for free nodes'],
  [/^Priority/, 'its job waits for others of higher priority'],
  [/^BeginTime/, 'its job waits for its time to begin'],
  [/^Dependency/, 'its job waits for another'],
  [/^Licenses/, 'its job waits for licenses'],
  [/^Reservation/, 'its job waits for its reservation'],
  [/^JobHeldUser/, 'its job is held by its user: `scontrol release` lets it go on'],
  [/^JobHeldAdmin/, 'its job is held by an administrator'],
  [
    /^(launch[ _]failed|JobLaunchFailure|JobHoldMaxRequeue|job[ _]requeued[ _]in[ _]held[ _]state)/,
    'its job is held after failures: `scontrol release` lets it go on',
  ],
  [/^JobArrayTaskLimit/, 'its job waits for others of its array'],
  [/^(ReqNodeNotAvail|NodeDown|Nodes[ _]required)/, 'its job waits for nodes that are down or reserved'],
]

/** Whether a job that waits for this waits in vain. */
export const cannotStart = (reason: string): boolean =>
  reasons.find(([pattern]) => pattern.test(reason))?.[1].startsWith('its job cannot start') ?? false

/** What a job does that has not ended, a clause for people; `ahead`: jobs before it, as far as the site lets see them. */
export function doing(row: JobRow, ahead?: number): string {
  const { id, state, reason, start, nodes } = row
  if (state === 'SUSPENDED' || state === 'STOPPED') return 'its job is suspended'
  if (['REQUEUE_HOLD', 'SPECIAL_EXIT', 'RESV_DEL_HOLD'].includes(state))
    return 'its job is held: `scontrol release` lets it go on'
  if (state === 'CONFIGURING') return 'its nodes are being made ready'
  if (state !== 'PENDING') return `its job ${id} runs on ${nodes}`
  const why = reasons.find(([pattern]) => pattern.test(reason))?.[1] ?? 'its job waits'
  const soon = start === '' ? '' : `, expected to start at ${start.replace('T', ' ')}`
  const place = ahead === undefined ? '' : ahead === 0 ? ', first of its queue' : `, ${ahead} before it`
  return `${why} (${reason})${place}${soon}`
}
