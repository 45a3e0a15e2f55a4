import { readFileSync } from 'node:fs'

/** Throws where the process has ended. */
export function parentOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
}

/** It and those above it, up to the first that has ended. */
export function ancestors(pid: number): number[] {
  if (pid <= 1) return []
  try {
    return [pid, ...ancestors(parentOf(pid))]
  } catch {
    return []
  }
}
