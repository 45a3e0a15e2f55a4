import { constants } from 'node:os'

/** One job, or one element of an array, as Slurm tells it. */
export interface JobRow {
  /** `12`, or `12_3` for an element of an array. */
  readonly id: string
  readonly state: string
  /** Empty where it was not asked for. */
  readonly reason: string
  readonly exitCode: number
  readonly signal: number
  readonly restarts: number
  readonly nodes: string
  /** When Slurm expects it to start, as it writes times; empty where it does not say. */
  readonly start: string
  /** Another job has been given its nodes. */
  readonly preempted: boolean
  /** Of its limit, or of the grace that it is given, as the controller's clock tells it: milliseconds since 1970. */
  readonly endsAt?: number
  /** By which it was to be done, by the same clock. */
  readonly deadline?: number
}

const fields = [
  ...['ArrayJobID', 'ArrayTaskID', 'JobID', 'State', 'RestartCnt', 'exit_code'],
  ...['NodeList', 'StartTime', 'EndTime', 'PreemptTime', 'Deadline', 'Reason'],
] as const

/** What squeue is asked for, alike in all versions: each field with a mark after it; the reason, which may hold any text, is the last. */
export const queueFormat = fields.map((name) => `${name}:|`).join(',')

/** squeue's rows of that form; lines that are something else are left out. Pure. */
export function parseQueue(text: string): JobRow[] {
  return text.split('\n').flatMap((line) => {
    const [array, index, job, state, restarts, exit, nodes, start, end, preempt, deadline, ...reason] = line.split('|')
    if (array === undefined || job === undefined || !/^\d+$/.test(job) || !state) return []
    const known = (value: string | undefined) =>
      value === undefined || /^(N\/A|\(null\)|Unknown|NONE)$/.test(value) ? '' : value
    const endsAt = Date.parse(known(end))
    const due = Date.parse(known(deadline))
    return [
      {
        id: /^\d+$/.test(index ?? '') ? `${array}_${index}` : job,
        state: state.trim(),
        reason: reason.slice(0, -1).join('|').trim(),
        ...exitOf(exit ?? ''),
        restarts: Number(restarts) || 0,
        nodes: known(nodes),
        start: known(start),
        preempted: /^\d/.test(preempt ?? ''),
        ...(Number.isNaN(endsAt) ? {} : { endsAt }),
        ...(Number.isNaN(due) ? {} : { deadline: due }),
      },
    ]
  })
}

/** `5:0`, or 1280 as wait(2) has it: what squeue printed before 23.02. */
function exitOf(text: string): Pick<JobRow, 'exitCode' | 'signal'> {
  const [, code, signal] = /^(\d+):(\d+)$/.exec(text) ?? []
  if (code !== undefined) return { exitCode: Number(code), signal: Number(signal) }
  const status = /^\d+$/.test(text) ? Number(text) : 0
  return { exitCode: (status >> 8) & 255, signal: status & 127 }
}

/** squeue's form of what waits, for `parsePlaces`. */
export const waitingFormat = 'ArrayJobID:|,Partition:|,PriorityLong:|'

/** How many jobs of its partition are before each of those that wait, by their priority, then by their age. Pure. */
export function parsePlaces(text: string): ReadonlyMap<string, number> {
  const rows = text.split('\n').flatMap((line) => {
    const [id = '', partition = '', priority = ''] = line.split('|').map((word) => word.trim())
    return /^\d+$/.test(id) && /^\d+$/.test(priority) ? [{ id, partition, priority: Number(priority) }] : []
  })
  const sorted = rows.sort((one, other) => other.priority - one.priority || Number(one.id) - Number(other.id))
  const before = new Map<string, Set<string>>()
  const places = new Map<string, number>()
  for (const { id, partition } of sorted) {
    const ahead = before.get(partition) ?? new Set()
    before.set(partition, ahead)
    // Of several partitions that would take it, the one where it comes first.
    if (!ahead.has(id)) places.set(id, Math.min(places.get(id) ?? Number.POSITIVE_INFINITY, ahead.size))
    ahead.add(id)
  }
  return places
}

/** What sacct is asked for, alike in all versions. */
export const accountingFormat = 'JobID,State,ExitCode,NodeList'

/** sacct's rows of that form with `--parsable2 --noheader --allocations`. Pure. */
export function parseAccounting(text: string): JobRow[] {
  return text.split('\n').flatMap((line) => {
    const [id = '', state = '', exit = '', nodes = ''] = line.split('|')
    if (!/^\d+(_\d+)?$/.test(id) || state === '') return []
    return [
      {
        id,
        // `CANCELLED by 1000`
        state: state.split(' ')[0]!,
        reason: '',
        ...exitOf(exit),
        restarts: 0,
        nodes: nodes === 'None assigned' ? '' : nodes,
        start: '',
        preempted: false,
      },
    ]
  })
}

/** `12` of what `sbatch --parsable` prints: `12`, or `12;cluster`. Pure. */
export const parseSubmitted = (text: string): string | undefined => /^(\d+)(;\S+)?$/m.exec(text.trim())?.[1]

/** Ids by the comment of each job, of `squeue -O ArrayJobID:|,Comment:|`: of an array, its own. Pure. */
export const parseComments = (text: string): ReadonlyMap<string, string> =>
  new Map(
    text.split('\n').flatMap((line) => {
      const [array = '', ...comment] = line.split('|')
      return /^\d+$/.test(array) ? [[comment.slice(0, -1).join('|').trim(), array]] : []
    }),
  )

/** One task of srun that ended badly, as its stderr tells: `srun: error: lab2: task 2: Exited with exit code 7`. */
export interface TaskExit {
  readonly tasks: readonly number[]
  readonly code: number | null
  readonly signal: string | null
}

const signals: Readonly<Record<string, string>> = {
  Killed: 'SIGKILL',
  Terminated: 'SIGTERM',
  Aborted: 'SIGABRT',
  'Segmentation fault': 'SIGSEGV',
  'Bus error': 'SIGBUS',
  Interrupt: 'SIGINT',
  Hangup: 'SIGHUP',
}

/** Of one line of srun's stderr; undefined for any other. Pure. */
export function parseTaskExit(line: string): TaskExit | undefined {
  const [, list, how] = /^srun: error: \S+: tasks? ([\d,[\]-]+): (.+)$/.exec(line.trim()) ?? []
  if (list === undefined || how === undefined) return undefined
  const tasks = list
    .replace(/[[\]]/g, '')
    .split(',')
    .flatMap((part) => {
      const [first = 0, last = first] = part.split('-').map(Number)
      return Array.from({ length: last - first + 1 }, (_, index) => first + index)
    })
  const code = /^Exited with exit code (\d+)/.exec(how)?.[1]
  if (code !== undefined) return { tasks, code: Number(code), signal: null }
  const signal = signals[how.replace(/ \(core dumped\)$/, '')]
  return signal === undefined ? undefined : { tasks, code: null, signal }
}

/** `12` of srun's `srun: job 12 queued and waiting for resources`. Pure. */
export const parseQueued = (line: string): string | undefined => /^srun: job (\d+) queued/.exec(line)?.[1]

/** How a shell tells of a child's end: 128 and more are signals. Pure. */
export function parseShellCode(text: string): Omit<TaskExit, 'tasks'> {
  const code = Number(text)
  const signal = Object.entries(constants.signals).find(([, number]) => number === code - 128)?.[0]
  return signal === undefined ? { code, signal: null } : { code: null, signal }
}
