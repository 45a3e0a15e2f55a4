import { ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs'
import type { Around } from '../datastore/patient.js'

/**
 * What a body waits for in a call that gives its event loop no turn: a lazy artifact is read by a property. Nobody in the body
 * can end that wait, so it is in a file beside its host's socket, for its host to see how long it lasts.
 */
export interface DiskWait {
  /** `the datastore dir:/x`, and what is asked of it. */
  readonly whom: string
  readonly doing: string
  /** Milliseconds that it may last. */
  readonly limitMs: number
  /** Milliseconds of the machine's monotonic clock, which all its processes share. */
  readonly since: number
}

/** Path of the file for a body of this name. */
export const diskWaitPath = (socket: string, name: string): string => `${socket}.${name}.waits`

const now = (): number => Number(process.hrtime.bigint() / 1_000_000n)

/** Notes each such call while it lasts: three small system calls. */
export function noteDiskWaits(path: string): Around {
  let file: number | undefined
  return (whom, doing, limitMs, call) => {
    try {
      file ??= openSync(path, 'w', 0o600)
      writeSync(file, JSON.stringify({ whom, doing, limitMs, since: now() } satisfies DiskWait), 0)
    } catch {
      // Then nobody ends it; it is read all the same.
    }
    try {
      return call()
    } finally {
      if (file !== undefined) ftruncateSync(file, 0)
    }
  }
}

/** A wait that has lasted too long. */
export function diskWaitOver(path: string): DiskWait | undefined {
  try {
    const text = readFileSync(path, 'utf8')
    if (text === '') return undefined
    const wait = JSON.parse(text) as DiskWait
    return now() - wait.since > wait.limitMs ? wait : undefined
  } catch {
    // None was noted yet, or it is being written.
    return undefined
  }
}
