import { readdirSync, readFileSync } from 'node:fs'
import type { Cluster } from './cluster.js'
import { ancestors } from './parents.js'

/** A node's end, as of its power: its daemon, those that watch over its jobs, and then what runs there. */
export function loseNode(cluster: Cluster, node: string): void {
  const own = readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0 && isOf(pid, node, cluster))
  const stepds = new Set(own.flatMap((pid) => ancestors(pid).slice(1)).filter((pid) => nameOf(pid) === 'slurmstepd'))
  for (const pid of [cluster.pid(`slurmd-${node}`)!, ...stepds, ...own]) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // It went with the one before.
    }
  }
}

function isOf(pid: number, node: string, cluster: Cluster): boolean {
  try {
    const environment = readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0')
    return environment.includes(`SLURMD_NODENAME=${node}`) && environment.includes(`SLURM_CONF=${cluster.conf}`)
  } catch {
    return false
  }
}

const statOf = (pid: number): string => {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'latin1')
  } catch {
    return '0 () X 0'
  }
}

const nameOf = (pid: number): string => {
  const stat = statOf(pid)
  return stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'))
}
