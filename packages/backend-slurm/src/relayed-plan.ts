import { GangflowError } from '@gangflow/core'
import type { GangRequest, StepDescription } from '@gangflow/core/backend'
import type { SlurmSettings } from './options.js'
import { noKill, passed, resourceOptions } from './plan.js'
import { taskScript } from './task-script.js'

/** A gang, or an ordinary task, as one step of srun on nodes that share no disk with this machine; as `--dry-run` prints it. */
export interface RelayedPlan {
  readonly backend: 'slurm'
  readonly relayed: true
  readonly argv: readonly string[]
  /** Comes on srun's stdin, before what it reads. */
  readonly script: string
  /** Names of the launcher's variables that srun, and so the nodes, are given; nothing else of its environment crosses. */
  readonly environment: readonly string[]
  readonly size: number
  /** The job is of srun's making, and ends with it; else it is the person's. */
  readonly ownJob: boolean
}

/** Of the step itself, whoever made its job. */
const stepOptions: readonly string[] = [
  '--ntasks-per-node=1',
  // Who ends whom, and when, is the gang's to say.
  '--kill-on-bad-exit=0',
  '--wait=0',
  '--cpu-bind=none',
  '--mpi=none',
  '--export=ALL',
  '--chdir=/',
]

/**
 * The job and its only step in one: srun asks for the nodes, waits for them, and its end is the job's. Pure.
 * `hosts`: of the job that this process is in, where it is in one.
 */
export function planRelayed(
  { address, size, step, resources }: GangRequest,
  settings: SlurmSettings,
  hosts?: readonly string[],
): RelayedPlan {
  if (hosts && hosts.length < size) throw tooFew(step.name, size, hosts.length)
  const own = hosts
    ? [
        '--no-kill',
        '--overlap',
        ...(resources.cpu === undefined ? [] : [`--cpus-per-task=${Math.ceil(resources.cpu)}`]),
      ]
    : [
        `--job-name=${address.flow}.${step.name}`,
        `--comment=gangflow ${address.flow}/${address.run}`,
        ...noKill(step, size),
        ...resourceOptions(step, settings),
      ]
  return {
    backend: 'slurm',
    relayed: true,
    argv: ['srun', `--nodes=${size}`, `--ntasks=${size}`, ...stepOptions, ...own, ...shell],
    script: taskScript,
    environment: passed,
    size,
    ownJob: hosts === undefined,
  }
}

/** Reads its script, and no byte more: a command line that `ps` shows is to be short. */
const shell: readonly string[] = ['sh', '-c', 'eval "$(head -c "$0")"', String(Buffer.byteLength(taskScript))]

/** Refuses what is a matter of hundreds of jobs: each would be an srun that hangs on this machine. */
export function refuseArrays(steps: readonly StepDescription[]): void {
  const found = steps.find(({ transition }) => transition.kind === 'foreach')
  if (!found) return
  throw new GangflowError({
    code: 'E_SLURM_NOT_SHARED',
    what: `step '${found.name}' opens a foreach, which is an array of jobs, and the nodes do not see the datastore: each of its tasks would hang on this machine`,
    fix: 'let the datastore be a directory that every node sees at the same path: --datastore DIR; or make the step a gang, whose members take their share of the items',
    step: found.name,
  })
}

/** A job of the person's own that is too small. */
export const tooFew = (step: string, size: number, nodes: number): GangflowError =>
  new GangflowError({
    code: 'E_SLURM_TOO_FEW_NODES',
    what: `step '${step}' asks for ${size} members, and this job has ${nodes} node${nodes === 1 ? '' : 's'}`,
    fix: `ask for more: salloc --nodes=${size} --ntasks-per-node=1`,
    step,
  })
