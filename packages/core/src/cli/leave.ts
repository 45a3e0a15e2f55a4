import { dirname, join } from 'node:path'
import { hungCalls } from '../errors/hung-calls.js'

/** Milliseconds for what is still open to end by itself. */
const TAIL_MS = 3_000

/**
 * Ends this process though a disk does not answer: Node waits at its exit for the threads that ask the disk, for ever. A
 * Node that can replace itself (22.15 or later) keeps the exit code so, an older one by a small native addon; without
 * either it ends by SIGKILL. `dist`: folder of the running command, beside whose core the addon is looked for.
 */
export function leaveAnyway(dist: string): void {
  // Only while something is open does this timer ever come.
  setTimeout(() => {
    if (hungCalls() === 0) return leaveAnyway(dist)
    const code = Number(process.exitCode ?? 0)
    process.stderr.write(`a disk does not answer: ended without waiting for it (exit code ${code})\n`)
    const { execve } = process as { execve?: (file: string, argv: string[], env: object) => never }
    if (execve && process.platform !== 'win32') execve('/bin/sh', ['sh', '-c', `exit ${code}`], {})
    exitAtOnce(dist, code)
    process.kill(process.pid, 'SIGKILL')
  }, TAIL_MS).unref()
}

/** By the addon of the keeper's package (src/addon/exit.c); returns where there is none for this platform. */
function exitAtOnce(dist: string, code: number): void {
  // Nothing here may need one of the threads: all of them may wait for that disk.
  const { createRequire } = process.getBuiltinModule('node:module')
  const platform = `${process.platform}-${process.arch}`
  const keeper = () => createRequire(join(dist, 'cli.cjs')).resolve('@gangflow/keeper/package.json')
  const places = [
    () => createRequire(keeper()).resolve(`@gangflow/keeper-${platform}/exit.node`),
    () => join(dirname(keeper()), 'dist', platform, 'exit.node'),
  ]
  for (const place of places) {
    try {
      process.dlopen({ exports: { code } }, place())
    } catch {
      // Not installed, or not for this machine.
    }
  }
}
