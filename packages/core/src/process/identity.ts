import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'

/** One process of this machine. */
export interface ProcessFacts {
  readonly pid: number
  readonly ppid: number
  readonly group: number
  readonly session: number
  /** When it started: field 22 of /proc/PID/stat (ticks since boot); elsewhere `ps -o lstart`. */
  readonly startTime: string
  /** False for a zombie. */
  readonly alive: boolean
}

/** The process of this number now, or undefined. */
export function processFacts(pid: number): ProcessFacts | undefined {
  if (process.platform !== 'linux') return listByPs(['-p', String(pid)])[0]
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name, in parentheses, may hold spaces and parentheses itself.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const [state, ppid, group, session] = fields
    return {
      pid,
      ppid: Number(ppid),
      group: Number(group),
      session: Number(session),
      startTime: fields[19]!,
      // A zombie whose threads still run is alive.
      alive: state !== 'X' && (state !== 'Z' || Number(fields[17]) > 1),
    }
  } catch {
    return undefined
  }
}

/** Every process of this machine that this user may see. */
export function listProcesses(): ProcessFacts[] {
  if (process.platform !== 'linux') return listByPs(['-A'])
  return readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? (processFacts(Number(name)) ?? []) : []))
}

/** When a process started, or '' where there is none of that number. */
export function startTimeOf(pid: number): string {
  return processFacts(pid)?.startTime ?? ''
}

/** Whether exactly this process lives: a number that was given to another is told by the start time. */
export function isAlive(pid: number, startTime: string): boolean {
  const facts = processFacts(pid)
  return facts?.alive === true && facts.startTime === startTime
}

/** The environment that a process was started with, or undefined where it cannot be read (or was erased: {}). */
export function environmentOf(pid: number): Readonly<Record<string, string>> | undefined {
  try {
    const pairs = readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0')
    return Object.fromEntries(
      pairs
        .filter((pair) => pair.includes('='))
        .map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]),
    )
  } catch {
    return undefined
  }
}

function listByPs(which: string[]): ProcessFacts[] {
  try {
    const text = execFileSync('ps', [...which, '-o', 'pid=,ppid=,pgid=,sess=,stat=,lstart='], { encoding: 'utf8' })
    return text.split('\n').flatMap((line) => {
      const [pid, ppid, group, session, state, ...start] = line.trim().split(/\s+/)
      if (!pid || !state) return []
      const numbers = { pid: Number(pid), ppid: Number(ppid), group: Number(group), session: Number(session) || 0 }
      return [{ ...numbers, startTime: start.join(' '), alive: !state.startsWith('Z') }]
    })
  } catch {
    return []
  }
}
