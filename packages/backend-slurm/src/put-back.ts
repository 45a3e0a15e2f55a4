import { setTimeout as pause } from 'node:timers/promises'
import type { JobWarning } from '@gangflow/core/backend'
import { type CommandEnd, slurmCommand, unanswered } from './command.js'
import { type SlurmSettings, WARNING } from './options.js'
import { type JobRow, parseQueue, queueFormat } from './parse.js'
import { AGAIN_MS } from './submit.js'

/** As often as nodes are taken away, a job goes on: who takes them has been asked. */
const PREEMPTIONS = 1_000
/** Seconds that Slurm's warning may be early, and some for the way. */
const EARLY = 90

/** Milliseconds for the controller to answer: a busy one may not, and a job that does not hear it would be lost. */
const ANSWER_MS = 45_000

/** What was asked for of a job's last time. */
type LastTime = Pick<SlurmSettings, 'requeues' | 'warning'>

/** Why this process's job is about to end, and when. Undefined where Slurm does not say, or says that it goes on. */
export async function warned(asked: LastTime): Promise<JobWarning | undefined> {
  return warningOf(await here(), asked, Date.now())
}

/** Of the controller's words. Pure. */
export function warningOf(
  row: JobRow | undefined,
  { requeues = 0, warning = WARNING }: LastTime,
  now: number,
): JobWarning | undefined {
  if (row?.state !== 'RUNNING') return undefined
  const left = row.endsAt === undefined ? {} : { leftMs: Math.max(0, row.endsAt - now) }
  if (row.preempted) return { cause: 'preempted', ...left, times: PREEMPTIONS }
  const last = (left.leftMs ?? Number.POSITIVE_INFINITY) <= (warning + EARLY) * 1_000
  return last ? { cause: 'time-limit', ...left, times: requeues } : undefined
}

/**
 * Puts this process's job back into the queue, under its id, where another job has preempted it: Slurm does that by itself only
 * with what still runs at the end of the grace. Also where its time is nearly over, as often as was asked for. One that was cancelled stays ended.
 */
export async function putBack(asked: LastTime, atLimit: number): Promise<false | JobWarning['cause']> {
  const warning = await warned(asked)
  if (!warning || (warning.cause === 'time-limit' && atLimit >= warning.times)) return false
  const { code } = await answerTo(['scontrol', 'requeue', jobHere()])
  return code === 0 && warning.cause
}

/** An element of an array by its place: the number of one of them is that of the whole array, too. */
function jobHere({ env } = process): string {
  const array = env['SLURM_ARRAY_JOB_ID']
  return array === undefined ? (env['SLURM_JOB_ID'] ?? '') : `${array}_${env['SLURM_ARRAY_TASK_ID']}`
}

async function here(): Promise<JobRow | undefined> {
  const { code, stdout } = await answerTo(['squeue', '-h', '-t', 'all', `--jobs=${jobHere()}`, '-O', queueFormat])
  return code === 0 ? parseQueue(stdout)[0] : undefined
}

/** The controller's answer, asked for again where there was none. */
async function answerTo(argv: readonly string[]): Promise<CommandEnd> {
  const began = performance.now()
  for (;;) {
    const answer = await slurmCommand(argv)
    if (!unanswered(answer) || performance.now() - began > ANSWER_MS) return answer
    await pause(AGAIN_MS)
  }
}
