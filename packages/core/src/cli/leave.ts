import { hungCalls } from '../errors/hung-calls.js'

/** Milliseconds for what is still open to end by itself. */
const TAIL_MS = 3_000

/**
 * Ends this process though a disk does not answer: Node waits at its exit for the threads that ask the disk, for ever. A
 * Node that can replace itself (22.15 or later) keeps the exit code; an older one ends by SIGKILL.
 */
export function leaveAnyway(): void {
  // Only while something is open does this timer ever come.
  setTimeout(() => {
    if (hungCalls() === 0) return leaveAnyway()
    const code = Number(process.exitCode ?? 0)
    process.stderr.write(`a disk does not answer: ended without waiting for it (exit code ${code})\n`)
    const { execve } = process as { execve?: (file: string, argv: string[], env: object) => never }
    if (execve && process.platform !== 'win32') execve('/bin/sh', ['sh', '-c', `exit ${code}`], {})
    process.kill(process.pid, 'SIGKILL')
  }, TAIL_MS).unref()
}
