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
    // Where a disk is missing that the job needs, nothing of it is begun.
    `for path in ${[datastore, ...argv.slice(0, 2)].map(shell).join(' ')}; do`,
    '  if [ ! -e "$path" ]; then echo "gangflow: $(hostname) does not see $path" >&2; exit 66; fi',
    'done',
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
  const value = (name: string, given: string) => option(name, given).map(inScript)
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
    ...noKill(step, gangSize),
    ...(count > 1 ? [`--array=0-${count - 1}${atOnce !== undefined && atOnce < count ? `%${atOnce}` : ''}`] : []),
    '--requeue',
    // To the first process of the job alone, which tells the others.
    `--signal=B:USR2@${asked.warning ?? WARNING}`,
    // It would wait for ever.
    ...(asked.dependency === undefined ? [] : ['--kill-on-invalid-dep=yes']),
    ...resourceOptions(step, settings).map(inScript),
  ]
}

/** Slurm ends a job that has lost a node, but a gang that goes on with fewer members. */
export const noKill = ({ gang }: JobRequest['step'], size = 1): string[] =>
  (gang?.minNodes ?? size) < size ? ['--no-kill'] : []

/** What a step asks for, as sbatch and srun take it alike; words of a command line. */
export function resourceOptions(step: JobRequest['step'], settings: SlurmSettings): string[] {
  const asked = askedFor(step, settings)
  const { cpu, gpu, memory } = step.resources
  const cpus = asked.cpusPerTask ?? (cpu === undefined ? undefined : Math.ceil(cpu))
  const time = asked.time ?? (step.timeoutMs === undefined ? undefined : step.timeoutMs + 120_000)
  const gpus = gpu === undefined || gpu === 0 || /gpu/.test(asked.gres ?? '') ? undefined : Math.ceil(gpu)
  const mem = asked.mem ?? (memory === undefined || asked.memPerCpu !== undefined ? undefined : `${memory}M`)
  return [
    ...option('cpus-per-task', cpus),
    ...option('gpus-per-node', asked.gpusPerNode ?? gpus),
    ...option('mem', mem),
    ...option('mem-per-cpu', asked.memPerCpu),
    ...option('time', time === undefined ? undefined : slurmTime(time)),
    ...option('partition', asked.partition),
    ...option('account', asked.account),
    ...option('qos', asked.qos),
    ...option('constraint', asked.constraint),
    ...option('gres', asked.gres),
    ...(asked.exclusive ? ['--exclusive'] : []),
    ...option('nodelist', asked.nodelist),
    ...option('exclude', asked.exclude),
    ...option('reservation', asked.reservation),
    ...option('licenses', asked.licenses),
    ...option('nice', asked.nice),
    ...option('dependency', asked.dependency),
    ...option('begin', asked.begin),
    ...option('deadline', asked.deadline),
    ...option('mail-type', asked.mailType),
    ...option('mail-user', asked.mailUser),
    ...(asked.sbatchArgs ?? []),
  ]
}

export const nameOf = ({ flow, step }: JobRequest): string => `${flow}.${step.name}`

/** What tells a job from all others, of whatever run. */
export const commentOf = ({ flow, run, output }: JobRequest): string => `gangflow ${flow}/${run} ${output.prefix}`
const option = (name: string, given: string | number | undefined): string[] =>
  given === undefined ? [] : [`--${name}=${given}`]

/** An option's value in a script, in quotes where it needs them. */
const inScript = (word: string): string =>
  word.replace(/^(--[\w-]+=)(.*)$/, (whole, name, given) =>
    /[^\w@%+=:,./-]/.test(given) ? `${name}"${given}"` : whole,
  )

/** A word of the script: bare where it can be. */
const shell = (text: string): string =>
  /^[\w@%+=:,./<>-]+$/.test(text) && !/[<>]/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`

/** What an option of a script says, as `inScript` has written it. */
export const optionIn = (script: string, name: string): string =>
  new RegExp(`^#SBATCH --${name}="?(.*?)"?$`, 'm').exec(script)?.[1] ?? ''
