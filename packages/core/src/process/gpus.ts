import { readdirSync } from 'node:fs'

/**
 * The devices assigned to this process, as CUDA numbers them: those of CUDA_VISIBLE_DEVICES (indices or UUIDs, up
 * to the first that is no device, as CUDA reads it), else all whose device files are here.
 */
export function assignedGpus(env: NodeJS.ProcessEnv = process.env, devices = '/dev'): readonly string[] {
  const visible = env['CUDA_VISIBLE_DEVICES']
  if (visible !== undefined) {
    const ids = visible.split(',').map((id) => id.trim())
    const end = ids.findIndex((id) => !/^(\d+|GPU-[\w-]+|MIG-[\w/-]+)$/.test(id))
    return end < 0 ? ids : ids.slice(0, end)
  }
  try {
    // A container may hold /dev/nvidia3 alone: for CUDA that is device 0.
    return readdirSync(devices)
      .filter((name) => /^nvidia\d+$/.test(name))
      .map((_, index) => String(index))
  } catch {
    return []
  }
}
