import type { BackendFactory, GangBackend } from '@gangflow/core/backend'
import { examine } from './examine.js'
import { hostsHere, planSrun, type SrunPlan, startSrun } from './gang.js'
import { SlurmJobs } from './jobs.js'
import { readOptions, type SlurmSettings } from './options.js'
import { askedFor } from './plan.js'
import { putBack, warned } from './put-back.js'

/**
 * Steps and gangs on a Slurm cluster. On a machine with Slurm's commands each task is a job, each foreach an array of jobs.
 * Within a job, that of one of those tasks or a person's own (`salloc`, `sbatch`), gangs are steps of srun on its nodes.
 */
export const createBackend: BackendFactory = Object.assign(create, { examine })

function create(...[options, place]: Parameters<BackendFactory>): GangBackend {
  const settings = readOptions(options)
  const inside = place.inJob === true || process.env['SLURM_JOB_ID'] !== undefined
  const gangs: GangBackend<SrunPlan> = {
    name: 'slurm',
    transport: 'ssh',
    plan: (request) => planSrun(request, hostsHere()),
    start: (plan, bootstrap, signal) => startSrun(plan, bootstrap, place, signal),
    ...(place.inJob ? inJob(settings) : {}),
  }
  return (inside ? gangs : { ...gangs, jobs: new SlurmJobs(settings) }) as GangBackend
}

const inJob = (settings: SlurmSettings): Pick<GangBackend, 'warned' | 'putBack'> => ({
  warned: (step) => warned(askedFor(step, settings)),
  putBack: (step, atLimit) => putBack(askedFor(step, settings), atLimit),
})
