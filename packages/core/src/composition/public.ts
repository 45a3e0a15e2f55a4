import { fileURLToPath } from 'node:url'
import { attachLine, commandLine } from '../runtime/command.js'
import type { AttachOptions, ResumeOptions, RunHandle, RunOptions } from '../runtime/contract.js'
import { deferredHandle } from '../runtime/deferred-handle.js'

/**
 * Runs a flow: the handle comes at once, the engine is loaded behind it. Prints nothing. `result` settles when the
 * run has ended, whatever its status, and rejects with a GangflowError when it could not start.
 * @param file the flow's file: a path, or a file URL.
 */
export function run(file: string | URL, options: RunOptions = {}): RunHandle {
  const path = pathOf(file)
  const start = async () => (await import('./launcher.js')).launcher.run(path, options)
  return deferredHandle(start, { flow: path, command: commandLine('run', path, options) })
}

/** Runs a flow again from where an earlier run stopped; finished tasks whose steps kept their shape are reused. */
export function resume(file: string | URL, options: ResumeOptions = {}): RunHandle {
  const path = pathOf(file)
  const start = async () => (await import('./launcher.js')).launcher.resume(path, options)
  return deferredHandle(start, { flow: path, command: commandLine('resume', path, options) })
}

/**
 * Takes a run up that goes on in its jobs: one that was detached, or whose launcher died.
 * @param pathspec `Flow/run`, or the run's id alone.
 */
export function attach(pathspec: string, options: AttachOptions = {}): RunHandle {
  const start = async () => (await import('./launcher.js')).launcher.attach(pathspec, options)
  return deferredHandle(start, { flow: pathspec, command: attachLine(pathspec, options) })
}

const pathOf = (file: string | URL): string =>
  file instanceof URL || file.startsWith('file:') ? fileURLToPath(file) : file
