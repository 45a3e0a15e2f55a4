/** One job, or one element of an array, as squeue tells it. */
export interface QueueRow {
  /** `12`, or `12_3` for an element of an array. */
  readonly id: string
  readonly state: string
  readonly reason: string
  readonly restarts: number
  readonly nodes: string
  /** When Slurm expects it to start, as it writes times; empty where it does not say. */
  readonly start: string
}

const fields = ['ArrayJobID', 'ArrayTaskID', 'JobID', 'State', 'RestartCnt', 'NodeList', 'StartTime', 'Reason'] as const

/** squeue's own form of a row: each field with a mark after it; the reason, which may hold any text, is the last. */
export const queueFormat = fields.map((name) => `${name}:|`).join(',')

/** squeue's rows of that form; lines that are something else are left out. Pure. */
export function parseQueue(text: string): QueueRow[] {
  return text.split('\n').flatMap((line) => {
    const [array, index, job, state, restarts, nodes, start, ...reason] = line.split('|')
    if (array === undefined || job === undefined || !/^\d+$/.test(job) || !state) return []
    const known = (value: string | undefined) =>
      value === undefined || /^(N\/A|\(null\)|Unknown)$/.test(value) ? '' : value
    return [
      {
        id: /^\d+$/.test(index ?? '') ? `${array}_${index}` : job,
        state: state.trim(),
        reason: reason.slice(0, -1).join('|').trim(),
        restarts: Number(restarts) || 0,
        nodes: known(nodes),
        start: known(start),
      },
    ]
  })
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

/** What `scontrol show job --oneliner` tells of a job's end. */
export interface JobDetails {
  readonly state: string
  readonly reason: string
  readonly exitCode: number
  readonly signal: number
  readonly nodes: string
  readonly restarts: number
  /** Another job has been given its nodes. */
  readonly preempted: boolean
  /** Of its limit, or of the grace that it is given, as the controller's clock tells it: milliseconds since 1970. */
  readonly endsAt?: number
}

/** Of its line; undefined for what is none. Values with spaces are only in fields that are not read here. Pure. */
export function parseDetails(text: string): JobDetails | undefined {
  const value = (name: string) => new RegExp(`(?:^|\\s)${name}=(\\S*)`).exec(text)?.[1]
  const state = value('JobState')
  if (state === undefined) return undefined
  const [exitCode = 0, signal = 0] = (value('ExitCode') ?? '').split(':').map(Number)
  const nodes = value('NodeList') ?? ''
  const endsAt = Date.parse(value('EndTime') ?? '')
  return {
    state,
    reason: value('Reason') ?? '',
    exitCode,
    signal,
    nodes: nodes === '(null)' ? '' : nodes,
    restarts: Number(value('Restarts')) || 0,
    preempted: /^\d/.test(value('PreemptTime') ?? ''),
    ...(Number.isNaN(endsAt) ? {} : { endsAt }),
  }
}

/** The same of `sacct --parsable2 --noheader --format=State,ExitCode,NodeList`: of its first line. Pure. */
export function parseAccounting(text: string): JobDetails | undefined {
  const [state, exit, nodes] = (text.split('\n')[0] ?? '').split('|')
  if (!state || exit === undefined) return undefined
  const [exitCode = 0, signal = 0] = exit.split(':').map(Number)
  // `CANCELLED by 1000`
  return {
    state: state.split(' ')[0]!,
    reason: '',
    exitCode,
    signal,
    nodes: nodes ?? '',
    restarts: 0,
    preempted: false,
  }
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
