import { readdirSync } from 'node:fs'
import { availableCpus } from '../process/cpus.js'
import type { Capacity } from '../runtime/admission.js'

/** What this machine lends to tasks: CPUs that the cgroup allows, devices that are visible. */
export function machineCapacity(maxWorkers: number | undefined, env: NodeJS.ProcessEnv = process.env): Capacity {
  const cpus = availableCpus()
  return { workers: maxWorkers ?? cpus, cpus, gpus: visibleGpus(env) }
}

function visibleGpus(env: NodeJS.ProcessEnv): readonly string[] {
  const visible = env['CUDA_VISIBLE_DEVICES']
  if (visible !== undefined)
    return visible
      .split(',')
      .map((id) => id.trim())
      .filter((id) => id !== '' && id !== '-1')
  try {
    return readdirSync('/dev')
      .flatMap((name) => /^nvidia(\d+)$/.exec(name)?.[1] ?? [])
      .sort((a, b) => Number(a) - Number(b))
  } catch {
    return []
  }
}
