import { type Duration, GangflowError, milliseconds } from '@gangflow/core'

/** What is asked of Slurm; each is the option of sbatch of the same name. */
export interface SlurmOptions {
  readonly partition?: string
  readonly account?: string
  readonly qos?: string
  /** Limit of a job: `2h`, milliseconds, or as Slurm writes it: `1-12:00:00`. Rounded up to minutes. */
  readonly time?: Duration
  readonly constraint?: string
  /** Such as `gpu:a100:2`; `@resources({ gpu })` asks for `--gpus-per-node` where this says nothing. */
  readonly gres?: string
  /** Memory of each node, such as `16G`. Default: that of `@resources({ memory })`. */
  readonly mem?: string
  readonly memPerCpu?: string
  /** CPUs of each member or task. Default: those of `@resources({ cpu })`. */
  readonly cpusPerTask?: number
  /** No other job on its nodes. */
  readonly exclusive?: boolean
  readonly nodelist?: string
  readonly exclude?: string
  readonly reservation?: string
  readonly licenses?: string
  readonly nice?: number
  /** Of the first or any job: `afterok:1234`; jobs whose condition can never come true end. */
  readonly dependency?: string
  /** Not before: `now+1hour`, `2026-12-24T18:00`. */
  readonly begin?: string
  /** Ended, or never started, where it cannot be done by then: state `DEADLINE`. */
  readonly deadline?: string
  /** Such as `a100:4`. Default: those of `@resources({ gpu })`. */
  readonly gpusPerNode?: string
  /** Such as `END,FAIL`; `mailUser` is whom, by default the person who submits. */
  readonly mailType?: string
  readonly mailUser?: string
  /** Seconds before its limit at which a job is warned (Slurm: up to 60 earlier), also before it is preempted. Default 60. */
  readonly warning?: number
  /** How often a job whose time is over goes back into the queue, after its warning. Default 0: it ends. Preemptions do not count. */
  readonly requeues?: number
  /** Further options of sbatch, as `--name=value`. */
  readonly sbatchArgs?: readonly string[]
}

/** Options of the backend as a whole, besides those. */
export interface SlurmSettings extends SlurmOptions {
  /** Seconds between two questions to Slurm, one for all jobs. Default 1, rising to 5 while nothing changes. */
  readonly poll?: number
  /**
   * Whether the nodes see the datastore. Default: the first job finds out. False: tasks and gangs run relayed through the
   * launcher, on nodes that share no disk with it.
   */
  readonly shared?: boolean
}

/** Default of `warning`. */
export const WARNING = 60

type Kind = 'text' | 'count' | 'whole' | 'flag' | 'time' | 'words'

const kinds: Readonly<Record<keyof SlurmSettings, Kind>> = {
  partition: 'text',
  account: 'text',
  qos: 'text',
  time: 'time',
  constraint: 'text',
  gres: 'text',
  mem: 'text',
  memPerCpu: 'text',
  cpusPerTask: 'count',
  exclusive: 'flag',
  nodelist: 'text',
  exclude: 'text',
  reservation: 'text',
  licenses: 'text',
  nice: 'whole',
  dependency: 'text',
  begin: 'text',
  deadline: 'text',
  gpusPerNode: 'text',
  mailType: 'text',
  mailUser: 'text',
  warning: 'count',
  requeues: 'whole',
  sbatchArgs: 'words',
  poll: 'count',
  shared: 'flag',
}

export const stepOptionNames = (Object.keys(kinds) as (keyof SlurmSettings)[]).filter(
  (name): name is keyof SlurmOptions => name !== 'poll' && name !== 'shared',
)

/** Reads and checks options; numbers and flags may come as the text of a command line. Throws `E_SLURM_OPTION`. */
export function readOptions(given: Readonly<Record<string, unknown>>): SlurmSettings {
  const read: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(given)) {
    const kind = kinds[name as keyof SlurmSettings] as Kind | undefined
    if (kind === undefined)
      throw refused(`there is no option '${name}'`, `its options are ${Object.keys(kinds).join(', ')}`)
    if (value !== undefined) read[name] = valueFor(name, value, kind)
  }
  return read as SlurmSettings
}

function valueFor(name: string, value: unknown, kind: Kind): unknown {
  switch (kind) {
    case 'text':
      if (typeof value === 'string' && isWord(value)) return value
      throw wrong(name, value, 'text without line ends or quotation marks')
    case 'count':
    case 'whole': {
      const number = typeof value === 'string' ? Number(value) : value
      if (Number.isSafeInteger(number) && (kind === 'whole' || (number as number) >= 1)) return number
      throw wrong(name, value, kind === 'whole' ? 'a whole number' : 'a whole number of at least 1')
    }
    case 'flag':
      if (typeof value === 'boolean') return value
      if (value === 'true' || value === 'false') return value === 'true'
      throw wrong(name, value, 'true or false')
    case 'time':
      slurmTime(value as Duration)
      return value
    case 'words': {
      const words = typeof value === 'string' ? value.split(/\s+/) : value
      if (
        !Array.isArray(words) ||
        !words.every((word) => typeof word === 'string' && /^--\w/.test(word) && isWord(word))
      )
        throw wrong(name, value, 'options such as --switches=1, by their long names')
      for (const word of words) refuseOwn(word)
      return words
    }
  }
}

/** Options of sbatch that are the backend's, and what to ask for instead. Sbatch takes the beginnings of names, too. */
const own: Readonly<Record<string, string>> = {
  nodes: 'a gang has as many nodes as members: this.next(this.step, { numParallel: 4 })',
  ntasks: "there is one task on each node; ranks are the plugins' business",
  'ntasks-per-node': "there is one task on each node; ranks are the plugins' business",
  array: "the tasks of a foreach are one array; --max-workers N is its '%N'",
  output: "a job's output is what the launcher follows; `gangflow logs` prints it",
  error: "a job's output is what the launcher follows; `gangflow logs` prints it",
  input: 'a job reads nothing',
  'open-mode': 'a job that goes back into the queue goes on with its file',
  'job-name': 'jobs are called FLOW.STEP',
  comment: 'it names the run',
  chdir: "a body's working directory is the flow file's",
  signal: 'ask for warning=SECONDS instead',
  requeue: 'jobs go back into the queue after preemptions and lost nodes',
  wrap: "the script is the backend's",
  wait: 'the launcher waits',
  parsable: 'it is asked for',
  'test-only': 'it is done before each kind of job; --dry-run prints the script',
  clusters: 'let SLURM_CLUSTERS name it, so that all commands ask the same',
  hetjob: 'ask for one component; unlike nodes may be in it',
}

function refuseOwn(word: string): void {
  const [, name = '', value] = /^--([\w-]+)(?:=(.*))?$/.exec(word) ?? []
  const fix = own[name] ?? (name === 'export' && !/^ALL\b/.test(value ?? '') ? 'jobs need --export=ALL,…' : undefined)
  if (fix !== undefined) throw refused(`option sbatchArgs has --${name}, which is the backend's own`, fix)
}

const isWord = (text: string): boolean => text !== '' && !/[\u0000-\u001f"\\]/.test(text)

/** A limit as sbatch takes it: minutes, rounded up. */
export function slurmTime(time: Duration): string {
  if (typeof time === 'string' && /^(\d+-)?\d+(:\d+){0,2}$/.test(time) && /[-:]/.test(time)) return time
  try {
    return String(Math.max(1, Math.ceil(milliseconds(time) / 60_000)))
  } catch {
    throw wrong('time', time, "a duration such as '2h', or as Slurm writes it: '1-12:00:00'")
  }
}

const wrong = (name: string, value: unknown, wanted: string): GangflowError =>
  refused(`option ${name} is ${JSON.stringify(value)}`, `it must be ${wanted}`)

const refused = (what: string, fix: string): GangflowError =>
  new GangflowError({ code: 'E_SLURM_OPTION', what: `backend 'slurm': ${what}`, fix })
