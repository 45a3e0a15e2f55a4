import type { JobRequest } from '@gangflow/core/backend'
import { readOptions, type SlurmSettings, slurmTime, WARNING } from './options.js'

/** A job, or an array of jobs, as it is submitted and as `--dry-run` prints it. */
export interface SlurmPlan {
  readonly backend: 'slurm'
  /** The script goes to its stdin. */
  readonly argv: readonly string[]
  readonly script: string
  /** Names of the launcher's variables that sbatch, and so the job, is given; nothing else of its environment crosses. */
  readonly environment: readonly string[]
  readonly count: number
  /** Of each task's output, by index. */
  readonly output: { readonly directory: string; readonly prefix: string }
}

/** What a job is given of the launcher's environment: what logging in there would give, and Slurm's own settings. */
export const passed: readonly string[] = ['HOME', 'PATH', 'USER', 'LOGNAME', 'SHELL', 'LANG', 'LC_ALL', 'TZ']

/** Variables of sbatch, without `SBATCH_`, whose names are not those of their options. */
const variables: Readonly<Record<string, readonly string[]>> = {
  array: ['ARRAY_INX'],
  time: ['TIMELIMIT'],
  mem: ['MEM_PER_NODE', 'MEM_PER_CPU', 'MEM_PER_GPU'],
  'mem-per-cpu': ['MEM_PER_NODE', 'MEM_PER_CPU', 'MEM_PER_GPU'],
  gres: ['GRES', 'GPUS', 'GPUS_PER_NODE', 'GPUS_PER_TASK'],
  'gpus-per-node': ['GPUS', 'GPUS_PER_NODE', 'GPUS_PER_TASK'],
}

/** Of no job of ours, whatever the script says. */
const never = ['ARRAY_INX', 'ERROR', 'INPUT', 'NO_REQUEUE', 'WAIT']

/** Which of sbatch's variables would come before a line of this script: sbatch lets them. */
export function overruling(script: string): (name: string) => boolean {
  const options = [...script.matchAll(/^#SBATCH --([\w-]+)/gm)].map(([, name]) => name!)
  const own = options.flatMap((name) => variables[name] ?? [name.replaceAll('-', '_').toUpperCase()])
  const all = new Set([...never, ...own].map((name) => `SBATCH_${name}`))
  return (name) => all.has(name)
}

/** The request as it is performed. Pure. */
export function planJob(request: JobRequest, settings: SlurmSettings): SlurmPlan {
  const { count, output } = request
  return {
    backend: 'slurm',
    argv: ['sbatch', '--parsable'],
    script: scriptOf(request, settings),
    environment: passed,
    count,
    output,
  }
}

function scriptOf(request: JobRequest, settings: SlurmSettings): string {
  const { datastore, argv } = request
  const lines = [
    '#!/bin/sh',
    ...sbatchOptions(request, settings).map((option) => `#SBATCH ${option}`),
    // The warning is no end, also while the process that is to hear it starts.
    "trap '' USR2",
    `if [ ! -d ${shell(datastore)} ]; then`,
    `  echo "gangflow: $(hostname) does not see the datastore "${shell(datastore)} >&2`,
    '  exit 66',
    'fi',
    // The shell's place is taken, so that the process itself hears the engine's signals.
    `exec ${argv.map(shell).join(' ')} "\${SLURM_ARRAY_TASK_ID:-0}" "\${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}"`,
  ]
  return `${lines.join('\n')}\n`
}

/** The step's own options, over those of the run. */
export function askedFor({ plugins }: Pick<JobRequest['step'], 'plugins'>, settings: SlurmSettings): SlurmSettings {
  const own = plugins.find(({ name }) => name === 'slurm')?.options
  return { ...settings, ...(own ? readOptions(own as Record<string, unknown>) : {}) }
}

/** Every option of the job, in a fixed order. */
function sbatchOptions(request: JobRequest, settings: SlurmSettings): string[] {
  const { step, gangSize, count, atOnce, output, workdir } = request
  const asked = askedFor(step, settings)
  const { cpu, gpu, memory } = step.resources
  const cpus = asked.cpusPerTask ?? (cpu === undefined ? undefined : Math.ceil(cpu))
  const time = asked.time ?? (step.timeoutMs === undefined ? undefined : step.timeoutMs + 120_000)
  const gpus = gpu === undefined || gpu === 0 || /gpu/.test(asked.gres ?? '') ? undefined : Math.ceil(gpu)
  const mem = asked.mem ?? (memory === undefined || asked.memPerCpu !== undefined ? undefined : `${memory}M`)
  const value = (name: string, given: string | number | undefined) =>
    given === undefined
      ? []
      : [`--${name}=${typeof given === 'string' && /[^\w@%+=:,./-]/.test(given) ? `"${given}"` : given}`]
  const place = `${output.directory}/${output.prefix}`.replaceAll('%', '%%')
  return [
    ...value('job-name', nameOf(request)),
    ...value('comment', commentOf(request)),
    ...value('chdir', workdir),
    ...value('output', `${place}-${count > 1 ? '%a' : '0'}`),
    '--open-mode=append',
    '--export=ALL',
    `--nodes=${gangSize ?? 1}`,
    '--ntasks-per-node=1',
    ...(count > 1 ? [`--array=0-${count - 1}${atOnce !== undefined && atOnce < count ? `%${atOnce}` : ''}`] : []),
    '--requeue',
    // To the first process of the job alone, which tells the others.
    `--signal=B:USR2@${asked.warning ?? WARNING}`,
    ...value('cpus-per-task', cpus),
    ...value('gpus-per-node', gpus),
    ...value('mem', mem),
    ...value('mem-per-cpu', asked.memPerCpu),
    ...value('time', time === undefined ? undefined : slurmTime(time)),
    ...value('partition', asked.partition),
    ...value('account', asked.account),
    ...value('qos', asked.qos),
    ...value('constraint', asked.constraint),
    ...value('gres', asked.gres),
    ...(asked.exclusive ? ['--exclusive'] : []),
    ...value('nodelist', asked.nodelist),
    ...value('exclude', asked.exclude),
    ...value('reservation', asked.reservation),
    ...value('licenses', asked.licenses),
    ...value('nice', asked.nice),
    ...(asked.sbatchArgs ?? []),
  ]
}

export const nameOf = ({ flow, step }: JobRequest): string => `${flow}.${step.name}`

/** What tells a job from all others, of whatever run. */
export const commentOf = ({ flow, run, output }: JobRequest): string => `gangflow ${flow}/${run} ${output.prefix}`

/** A word of the script: bare where it can be. */
const shell = (text: string): string =>
  /^[\w@%+=:,./<>-]+$/.test(text) && !/[<>]/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
