import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import type { OwnerRecord } from '../datastore/records.js'

/** Field 22 of /proc/PID/stat: when the process started, in ticks since boot; '' where there is no such process. */
export function startTimeOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name, in parentheses, may hold spaces and parentheses itself.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
  } catch {
    return ''
  }
}

export function thisOwner(): OwnerRecord {
  return { host: hostname(), pid: process.pid, pidStart: startTimeOf(process.pid), at: Date.now() }
}

/** Whether the owner still lives: `unknown` when it is of another host. */
export function ownerState(owner: OwnerRecord): 'alive' | 'dead' | 'unknown' {
  if (owner.host !== hostname()) return 'unknown'
  if (owner.pidStart !== '' || process.platform === 'linux')
    return startTimeOf(owner.pid) === owner.pidStart ? 'alive' : 'dead'
  try {
    process.kill(owner.pid, 0)
    return 'alive'
  } catch {
    return 'dead'
  }
}
