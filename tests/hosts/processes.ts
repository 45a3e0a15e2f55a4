import { readdirSync, readFileSync } from 'node:fs'

/** A process, told from a later one with the same number by its start (ticks since boot). */
export interface ProcessId {
  readonly pid: number
  readonly start: number
}

interface Seen extends ProcessId {
  readonly parent: number
  readonly zombie: boolean
}

export function look(pid: number): Seen | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return { pid, start: Number(fields[19]), parent: Number(fields[1]), zombie: fields[0] === 'Z' }
  } catch {
    return undefined
  }
}

export function lives({ pid, start }: ProcessId): boolean {
  const seen = look(pid)
  return seen?.start === start && !seen.zombie
}

export function all(): Seen[] {
  return readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? (look(Number(name)) ?? []) : []))
}

export function words(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
  } catch {
    return []
  }
}
