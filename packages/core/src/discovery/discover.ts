import { GangflowError } from '../errors/base.js'
import { discoverAwsBatch } from './aws-batch.js'
import type { Discovered, Engine, Surroundings } from './contract.js'
import { expandHosts } from './host-ranges.js'
import { discoverKubernetes } from './kubernetes.js'
import { discoverLsf } from './lsf.js'
import { discoverPbs } from './pbs.js'
import { discoverSageMaker } from './sagemaker.js'
import { discoverSlurm } from './slurm.js'
import { Variables } from './variables.js'

/** Each engine with the variables of which one shows it. */
const engines: readonly (readonly [Engine, readonly string[], (surroundings: Surroundings) => Discovered])[] = [
  ['slurm', ['SLURM_JOB_ID', 'SLURM_JOBID'], discoverSlurm],
  ['pbs', ['PBS_JOBID'], discoverPbs],
  ['lsf', ['LSB_JOBID'], discoverLsf],
  ['jobset', ['JOB_COMPLETION_INDEX'], discoverKubernetes],
  ['aws-batch', ['AWS_BATCH_JOB_NUM_NODES', 'AWS_BATCH_JOB_NODE_INDEX'], discoverAwsBatch],
  ['sagemaker', ['SM_HOSTS', 'SM_CURRENT_HOST', 'TRAINING_JOB_ARN'], discoverSageMaker],
  ['host-list', ['GANGFLOW_HOSTS'], hostList],
]

/**
 * Who has placed this process and where: nodes, own index, restarts, end. Pure. Rejects what is contradictory or incomplete
 * with `E_DISCOVERY_*`. GANGFLOW_ENGINE names the engine where the variables of several are there (a job inside a job).
 */
export function discover(surroundings: Surroundings): Discovered {
  const about = new Variables('gangflow', surroundings)
  const named = about.text('GANGFLOW_ENGINE')
  if (named === 'local') return local(surroundings)
  const found = engines.filter(([engine, names]) =>
    named === undefined ? about.text(...names) !== undefined : engine === named,
  )
  if (named !== undefined && found.length === 0)
    about.wrong('GANGFLOW_ENGINE', named, `one of local, ${engines.map(([engine]) => engine).join(', ')}`)
  // A list that a person gives is about the job that it is given in.
  const asked = found.length === 2 ? found.filter(([engine]) => engine === 'host-list') : []
  const [one, ...others] = asked.length > 0 ? asked : found
  if (one === undefined) return local(surroundings)
  if (others.length > 0)
    throw new GangflowError({
      code: 'E_DISCOVERY_SEVERAL',
      what: `the environment has variables of several engines: ${found.map(([engine]) => engine).join(', ')}`,
      fix: 'say which one starts the members: GANGFLOW_ENGINE=slurm',
    })
  return one[2](surroundings)
}

const local = ({ hostname }: Surroundings): Discovered => ({
  engine: 'local',
  job: 'local',
  restarts: 0,
  size: 1,
  index: 0,
  task: 0,
  hosts: [{ host: hostname }],
  main: { index: 0, host: hostname },
})

/** Hosts that a person names, and, on each of them, its index (else the one that is called as this machine). */
function hostList(surroundings: Surroundings): Discovered {
  const about = new Variables('a list of hosts', surroundings)
  const names = expandHosts(about.need('GANGFLOW_HOSTS'), 'GANGFLOW_HOSTS', about)
  const index = about.index('GANGFLOW_NODE', names.length) ?? about.place(names)
  return {
    engine: 'host-list',
    job: about.text('GANGFLOW_RUN') ?? 'hosts',
    restarts: 0,
    size: names.length,
    ...(index === undefined ? {} : { index }),
    task: 0,
    hosts: names.map((host) => ({ host })),
    main: { index: 0, host: names[0]! },
  }
}
