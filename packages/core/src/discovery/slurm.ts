import { GangflowError } from '../errors/base.js'
import type { Discovered, Surroundings } from './contract.js'
import { expandHosts, repeated } from './host-ranges.js'
import { Variables } from './variables.js'

/** Step ids from here on are not of `srun`: the batch script, the shell of salloc, the job's prologue (slurm.h, SLURM_MAX_NORMAL_STEP_ID). */
const SPECIAL_STEPS = 0xfffffff0

/**
 * A job of Slurm, seen from one of four places: a task of `srun` (the step may have fewer nodes than the job), the batch
 * script (on the first node), the shell of `salloc` on a login node (on none), or that shell on the first node where the site
 * has it so (`use_interactive_step`). See srun(1) and sbatch(1), OUTPUT ENVIRONMENT VARIABLES.
 */
export function discoverSlurm(surroundings: Surroundings): Discovered {
  const about = new Variables('Slurm', surroundings)
  const job = about.need('SLURM_JOB_ID', 'SLURM_JOBID')
  refuseHeterogeneous(about)
  const inStep = isOfSrun(about)
  const listName = inStep && about.text('SLURM_STEP_NODELIST') ? 'SLURM_STEP_NODELIST' : 'SLURM_JOB_NODELIST'
  const names = expandHosts(about.need(listName, 'SLURM_NODELIST'), listName, about)
  const sizeNames = inStep ? ['SLURM_STEP_NUM_NODES'] : ['SLURM_JOB_NUM_NODES', 'SLURM_NNODES']
  const size = about.whole(...sizeNames)
  if (size !== undefined && size !== names.length)
    about.contradiction(`${sizeNames[0]} is ${size}, but ${listName} has ${names.length} hosts`)
  const index = ownIndex(about, names, inStep)
  const hosts = withResources(about, names)
  const own = index === undefined ? undefined : hosts[index]
  const slots = about.whole('SLURM_CPUS_ON_NODE') ?? own?.slots
  const gpus = about.whole('SLURM_GPUS_ON_NODE') ?? own?.gpus
  const end = about.whole('SLURM_JOB_END_TIME')
  return {
    engine: 'slurm',
    job,
    restarts: about.whole('SLURM_RESTART_COUNT') ?? 0,
    size: names.length,
    ...(index === undefined ? {} : { index }),
    task: (inStep && about.whole('SLURM_LOCALID')) || 0,
    hosts,
    main: { index: 0, host: names[0]! },
    ...(index === undefined || slots === undefined ? {} : { slots }),
    ...(index === undefined || gpus === undefined ? {} : { gpus }),
    ...(end === undefined ? {} : { deadline: end * 1000 }),
  }
}

/** The batch script is a step, too: 26.05 tells it so, by a negative id. */
function isOfSrun(about: Variables): boolean {
  if (/^-\d+$/.test(about.text('SLURM_STEP_ID', 'SLURM_STEPID') ?? '')) return false
  const step = about.whole('SLURM_STEP_ID', 'SLURM_STEPID')
  return step !== undefined && step < SPECIAL_STEPS
}

/** SLURM_NODEID, and SLURMD_NODENAME, which is right also where several slurmd share one machine and its hostname. */
function ownIndex(about: Variables, names: readonly string[], inStep: boolean): number | undefined {
  const name = about.text('SLURMD_NODENAME')
  const told = about.index('SLURM_NODEID', names.length)
  // The shell of salloc on a login node; whatever its own environment has besides.
  if (name === undefined && !inStep) return undefined
  if (name === undefined) return told
  const found = names.indexOf(name)
  if (found < 0) about.contradiction(`SLURMD_NODENAME is ${name}, which is none of ${names.slice(0, 8).join(', ')}`)
  if (told !== undefined && told !== found)
    about.contradiction(`SLURM_NODEID is ${told}, but SLURMD_NODENAME ${name} is node ${found}`)
  return found
}

function withResources(about: Variables, names: readonly string[]): NonNullable<Discovered['hosts']> {
  const cpus = about.text('SLURM_JOB_CPUS_PER_NODE')
  // It is of the job's nodes, which a step has not all of.
  const perNode = cpus === undefined ? undefined : repeated(cpus)
  if (cpus !== undefined && !perNode) about.wrong('SLURM_JOB_CPUS_PER_NODE', cpus, 'counts such as 4(x3),2')
  const all = about.text('SLURM_JOB_NODELIST', 'SLURM_NODELIST')
  const jobNames = all === undefined ? names : expandHosts(all, 'SLURM_JOB_NODELIST', about)
  if (perNode && perNode.length !== jobNames.length)
    about.contradiction(
      `SLURM_JOB_CPUS_PER_NODE tells of ${perNode.length} nodes, SLURM_JOB_NODELIST of ${jobNames.length}`,
    )
  const tasks = about.text('SLURM_TASKS_PER_NODE')
  if (tasks !== undefined && !repeated(tasks)) about.wrong('SLURM_TASKS_PER_NODE', tasks, 'counts such as 2(x3),1')
  const gpus = gpusPerNode(about)
  return names.map((host) => {
    const slots = perNode?.[jobNames.indexOf(host)]
    return { host, ...(slots === undefined ? {} : { slots }), ...(gpus === undefined ? {} : { gpus }) }
  })
}

/** The option as it was given: `4`, `a100:4`, `a100:2,v100:1`. */
function gpusPerNode(about: Variables): number | undefined {
  const text = about.text('SLURM_GPUS_PER_NODE')
  if (text === undefined) return undefined
  const counts = text.split(',').map((one) => /^(?:[\w.-]+:)?(\d{1,6})$/.exec(one.trim())?.[1])
  if (counts.includes(undefined)) about.wrong('SLURM_GPUS_PER_NODE', text, 'a count such as 4 or a100:4')
  return counts.reduce((sum, count) => sum + Number(count), 0)
}

function refuseHeterogeneous(about: Variables): void {
  const size = about.whole('SLURM_HET_SIZE', 'SLURM_PACK_SIZE')
  if (size === undefined || size < 2) return
  throw new GangflowError({
    code: 'E_DISCOVERY_SHAPE',
    what: `this job of Slurm is heterogeneous: ${size} components, each with its own list of nodes`,
    fix: 'ask for one component (`--nodes=N`); unlike nodes may be in it',
  })
}
