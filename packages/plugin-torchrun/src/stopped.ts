import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Failed } from './failure.js'
import type { TorchPlan } from './plan.js'

/** A look each second; five in a row that find a process stopped are the lease of silence (DESIGN D4), less a look. */
const LOOK_MS = 1_000
const LOOKS = 5

/**
 * Settles with the first rank of this member (or launcher of ranks) that a signal has stopped and nobody continues: its
 * peers would wait for it for as long as their process group lets them. Where /proc does not say, and after `over`, never.
 */
export async function stoppedRank(
  { launcher }: Pick<TorchPlan, 'launcher'>,
  over: AbortSignal,
  parent: number = process.ppid,
): Promise<Failed> {
  const looks = new Map<number, number>()
  for (let last = performance.now(); !over.aborted; ) {
    await sleep(LOOK_MS, undefined, { signal: over }).catch(() => {})
    if (over.aborted) break
    const now = performance.now()
    // Who has itself stood still, as all of a suspended job do, begins anew.
    const isLate = now - last > 2 * LOOK_MS
    last = now
    // Direct ranks are started by whom this process was started by; those of a launcher are its children.
    const ours = childrenOf(parent)
    const all = launcher === 'direct' ? ours : [...ours, ...ours.flatMap(childrenOf)]
    const stopped = all.filter(isStopped)
    for (const pid of looks.keys()) if (isLate || !stopped.includes(pid)) looks.delete(pid)
    for (const pid of stopped) {
      const times = (looks.get(pid) ?? 0) + 1
      looks.set(pid, times)
      const failed = times < LOOKS ? undefined : failedOf(pid)
      if (failed) return failed
    }
  }
  return new Promise(() => {})
}

/** Of its first thread, which starts what this looks for. */
function childrenOf(pid: number): number[] {
  return read(`${pid}/task/${pid}/children`).split(' ').filter(Boolean).map(Number)
}

/** State T; a debugger's own stop is t, and short. */
const isStopped = (pid: number): boolean => / T /.test(read(`${pid}/stat`).replace(/^.*\)/s, '').slice(0, 3))

/** Undefined for what is none of the ranks: the body's other commands. */
function failedOf(pid: number): Failed | undefined {
  const variables = read(`${pid}/environ`).split('\0')
  const variable = (name: string) => variables.find((one) => one.startsWith(`${name}=`))?.slice(name.length + 1)
  if (variable('GANGFLOW_TORCH_RANK') === undefined) return undefined
  const rank = variable('RANK')
  const about = rank === undefined ? { process: 'launcher' } : { process: `rank${rank}`, rank: Number(rank) }
  return { ...about, exitCode: null, signal: null, stopped: `${pid} (${read(`${pid}/comm`).trim()})`, lastLines: [] }
}

function read(path: string): string {
  try {
    return readFileSync(`/proc/${path}`, 'utf8')
  } catch {
    return '' // Gone, or another's.
  }
}
