import { readFileSync, writeFileSync } from 'node:fs'

/** Names the file in which a job's warning appears: empty before, then one line of JSON. For programs in any language. */
export const PREEMPT_FILE = 'GANGFLOW_PREEMPT_FILE'
/** Milliseconds between two looks at it. */
const LOOK_MS = 500

/** A task's job is about to end. */
export interface PreemptWarning {
  /** Another job takes its nodes, or its time is nearly over. Absent where the engine does not say. */
  readonly cause?: 'preempted' | 'time-limit'
  /** Milliseconds until then, at the time of the warning. Absent where the engine does not say. */
  readonly leftMs?: number
  /** Whether the job then goes back into the queue, to be started again under its id. */
  readonly again: boolean
  /** Says that nothing would be lost: a job that goes back into the queue does so now. In a gang one member says it for all. */
  saved(): void
}

/** What is called at a warning. */
export type OnPreempt = (warning: PreemptWarning) => unknown

/**
 * Has a function called, once, when the task's job is about to be preempted or to reach its time limit. What it throws fails the
 * step. Returns how to take it back. Never called where no engine warns: with the backends `local` and `ssh`.
 */
export function onPreempt(listener: OnPreempt): () => void {
  const path = process.env[PREEMPT_FILE]
  if (!path) return () => {}
  const timer = setInterval(() => {
    const told = read(path)
    if (told === undefined) return
    clearInterval(timer)
    listener({ ...told, saved: () => writeFileSync(`${path}.saved`, '') })
  }, LOOK_MS)
  timer.unref()
  return () => clearInterval(timer)
}

/** Opened anew each time: a network disk then asks its server. */
function read(path: string): Omit<PreemptWarning, 'saved'> | undefined {
  try {
    const text = readFileSync(path, 'utf8')
    return text.endsWith('\n') ? (JSON.parse(text) as Omit<PreemptWarning, 'saved'>) : undefined
  } catch {
    return undefined
  }
}
