import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

export interface CommandEnd {
  /** Null: a signal, or it could not start, or its time was over; `stderr` says which. */
  readonly exitCode: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Bytes of each output that are kept. */
const KEPT = 1 << 20
/** Groups of processes that run for us. */
const running = new Set<number>()

export interface RunPlace {
  readonly cwd?: string
  readonly env?: NodeJS.ProcessEnv
  readonly signal?: AbortSignal
  /** Told each line of its standard output as it comes. */
  readonly hear?: (line: string) => void
}

/** Runs a command with no input; gives its end, whatever it is. With it end those that it started (its process group). */
export function runCommand(
  argv: readonly string[],
  timeoutMs: number,
  { signal, hear, ...place }: RunPlace = {},
): Promise<CommandEnd> {
  return new Promise((resolve) => {
    const child = spawn(argv[0]!, argv.slice(1), {
      cwd: '/',
      ...place,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })
    let [stdout, stderr] = ['', '']
    child.stdout.on('data', (chunk) => (stdout = (stdout + chunk).slice(-KEPT)))
    if (hear) createInterface(child.stdout).on('line', hear)
    child.stderr.on('data', (chunk) => (stderr = (stderr + chunk).slice(-KEPT)))
    const group = child.pid
    if (group !== undefined) running.add(group)
    let why = ''
    const end = (reason: string) => {
      why ||= reason
      if (group !== undefined) killGroup(group)
    }
    const timer = setTimeout(end, timeoutMs, `it did not end within ${timeoutMs / 1000} s`)
    const stop = () => end('it was stopped')
    signal?.addEventListener('abort', stop, { once: true })
    const settle = (exitCode: number | null) => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', stop)
      if (group !== undefined) running.delete(group)
      resolve({ exitCode: why === '' ? exitCode : null, stdout, stderr: `${stderr}${why}` })
    }
    child.once('error', (error) => {
      why ||= error.message
      settle(null)
    })
    child.once('exit', () => group !== undefined && killGroup(group))
    child.once('close', settle)
  })
}

/** Ends all that `runCommand` still runs. */
export function endCommands(): void {
  for (const group of running) killGroup(group)
}

function killGroup(group: number): void {
  try {
    process.kill(-group, 'SIGKILL')
  } catch {
    // All of it has ended.
  }
}
