import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import type { OwnerRecord } from './records.js'

/**
 * When a process started, as the kernel counts it (field 22 of /proc/PID/stat, ticks since boot); '' where there is
 * no such process, or it has ended and only waits to be reaped.
 */
export function startTimeOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name, in parentheses, may hold spaces and parentheses itself.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' || fields[0] === 'X' ? '' : (fields[19] ?? '')
  } catch {
    return ''
  }
}

/** Whether a process of this machine is stopped (SIGSTOP, Ctrl-Z, a debugger): it lives, and does nothing. */
export function isStopped(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return /^[Tt]/.test(stat.slice(stat.lastIndexOf(')') + 2))
  } catch {
    return false
  }
}

let own: string | undefined

/** This process as the owner of something. */
export function thisOwner(): OwnerRecord {
  own ??= startTimeOf(process.pid)
  return { host: hostname(), pid: process.pid, pidStart: own, at: Date.now() }
}

/** Whether the owner still lives: `unknown` when it is of another host. */
export function ownerState(owner: Pick<OwnerRecord, 'host' | 'pid' | 'pidStart'>): 'alive' | 'dead' | 'unknown' {
  if (owner.host !== hostname()) return 'unknown'
  if (owner.pidStart !== '' || process.platform === 'linux') {
    return owner.pidStart !== '' && startTimeOf(owner.pid) === owner.pidStart ? 'alive' : 'dead'
  }
  try {
    process.kill(owner.pid, 0)
    return 'alive'
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM' ? 'alive' : 'dead'
  }
}
