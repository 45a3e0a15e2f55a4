import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'

/** CPUs that this process may use at once: by affinity and by its cgroup's quota (rounded up), at least 1. */
export function availableCpus(): number {
  return Math.max(1, Math.min(availableParallelism(), Math.ceil(cgroupQuota())))
}

/** The narrowest quota from this process's cgroup up to the root, in CPUs; Infinity without one. */
function cgroupQuota(): number {
  const own = read('/proc/self/cgroup')
  const unified = /^0::(\/.*)$/m.exec(own)?.[1] ?? '/'
  const cpu = /^\d+:(?:[^:]*,)?cpu(?:,[^:]*)?:(\/.*)$/m.exec(own)?.[1] ?? '/'
  const v2 = upwards(unified).map((path) => quotaOf(read(`/sys/fs/cgroup${path}/cpu.max`).split(' ')))
  const v1 = upwards(cpu).map((path) => {
    const folder = `/sys/fs/cgroup/cpu${path}`
    return quotaOf([read(`${folder}/cpu.cfs_quota_us`), read(`${folder}/cpu.cfs_period_us`)])
  })
  return Math.min(...v2, ...v1)
}

function quotaOf([quota, period]: readonly string[]): number {
  const cpus = Number(quota) / Number(period)
  return cpus > 0 ? cpus : Number.POSITIVE_INFINITY
}

/** `/a/b` → `/a/b`, `/a`, ``. */
function upwards(path: string): string[] {
  const parts = path.split('/').filter(Boolean)
  return Array.from({ length: parts.length + 1 }, (_, left) =>
    parts
      .slice(0, parts.length - left)
      .map((part) => `/${part}`)
      .join(''),
  )
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return ''
  }
}
