import type { BackendFactory, GangBackend } from '@gangflow/core/backend'
import { examine } from './examine.js'
import { hostsHere, planSrun, type SrunPlan, startSrun } from './gang.js'
import { SlurmJobs } from './jobs.js'
import { readOptions, type SlurmSettings } from './options.js'
import { askedFor } from './plan.js'
import { putBack, warned } from './put-back.js'
import { startRelayed } from './relayed.js'
import { planRelayed, type RelayedPlan, refuseArrays } from './relayed-plan.js'
import { Watch } from './watch.js'

/**
 * Steps and gangs on a Slurm cluster. On a machine with Slurm's commands each task is a job, each foreach an array of jobs.
 * Within a job, that of one of those tasks or a person's own (`salloc`, `sbatch`), gangs are steps of srun on its nodes.
 * Where the nodes do not see the datastore, tasks and gangs are steps of srun that the launcher owns.
 */
export const createBackend: BackendFactory = Object.assign(create, { examine })

type Place = Parameters<BackendFactory>[1]

function create(...[options, place]: Parameters<BackendFactory>): GangBackend {
  const settings = readOptions(options)
  const inside = place.inJob === true || process.env['SLURM_JOB_ID'] !== undefined
  if (settings.shared === false && !place.inJob) return relayed(settings, place, inside) as GangBackend
  const gangs: GangBackend<SrunPlan> = {
    name: 'slurm',
    transport: 'ssh',
    plan: (request) => planSrun(request, hostsHere()),
    start: (plan, bootstrap, signal) => startSrun(plan, bootstrap, place, signal),
    ...(place.inJob ? inJob(settings) : {}),
  }
  if (inside) return gangs as GangBackend
  const otherwise = settings.shared === undefined ? { relayed: relayed(settings, place, false) as GangBackend } : {}
  return { ...gangs, jobs: new SlurmJobs(settings), ...otherwise } as GangBackend
}

const inJob = (settings: SlurmSettings): Pick<GangBackend, 'warned' | 'putBack'> => ({
  warned: (step) => warned(askedFor(step, settings)),
  putBack: (step, atLimit) => putBack(askedFor(step, settings), atLimit),
})

/** The nodes share no disk with this machine; `inside`: they are those of the job that this process is in. */
function relayed(settings: SlurmSettings, place: Place, inside: boolean): GangBackend<RelayedPlan> {
  const watch = new Watch(settings.poll)
  return {
    name: 'slurm',
    transport: 'ssh',
    datastore: 'relayed',
    queues: true,
    plan: (request) => planRelayed(request, settings, inside ? hostsHere() : undefined),
    start: (plan, bootstrap, signal, note) => startRelayed(plan, bootstrap, { place, watch }, signal, note),
    ...(inside ? {} : { tasks: 'member', check: ({ steps }) => refuseArrays(steps) }),
  }
}
