import { availableCpus } from '../errors/cpus.js'
import { assignedGpus } from '../process/gpus.js'
import type { Capacity } from '../runtime/admission.js'

/** What this machine lends to tasks: CPUs that the cgroup allows, devices that are visible. */
export function machineCapacity(maxWorkers: number | undefined, env: NodeJS.ProcessEnv = process.env): Capacity {
  const cpus = availableCpus()
  return { workers: maxWorkers ?? cpus, cpus, gpus: assignedGpus(env) }
}
