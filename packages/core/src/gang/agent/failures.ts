import type { BodyOutcome } from '../../body/contract.js'
import { messageOf } from '../../errors/base.js'
import type { Casualty } from '../../errors/verdict.js'
import type { ProcessExit } from '../../process/contract.js'
import { causeOfEnd, weighEnd, weighError } from '../judge.js'
import type { Failure } from '../protocol.js'

/** Who the reporting member is. */
export interface Place {
  readonly node: number
  readonly host: string
  readonly memberId: string
}

/** A body that ended without success, though nobody had asked it to. */
export function failureOfBody(outcome: Extract<BodyOutcome, { ok: false }>, place: Place): Failure {
  const { casualty, cause, summary, fix, code, error } = outcome
  const weight = casualty.error
    ? weighError(casualty.error.message, error?.code ?? code)
    : weighEnd({ signal: casualty.signal ?? null })
  const waited = /^E_GANG_.*_TIMEOUT$/.test(error?.code ?? code)
  return {
    casualty: { ...casualty, ...place },
    cause: waited ? 'timeout' : cause,
    weight,
    summary,
    code,
    ...(fix === undefined ? {} : { fix }),
  }
}

/** What a plugin told by `fail`; `exit` is what the agent knows of the process that it names. */
export function failureOfPlugin(casualty: Casualty, exit: ProcessExit | undefined, place: Place): Failure {
  const whole: Casualty = { ...place, ...casualty, ...known(exit) }
  const signal = casualty.signal ?? exit?.signal ?? null
  const cause = causeOfEnd({ signal })
  const weight = casualty.error ? weighError(casualty.error.message, casualty.error.code) : weighEnd({ signal })
  const { code, fix } = casualty.error ?? {}
  return { casualty: whole, cause, weight, ...(code ? { code } : {}), ...(fix ? { fix } : {}) }
}

/** What the kernel's account of a death adds to it. */
const known = (exit: ProcessExit | undefined) => (exit?.outOfMemory ? { outOfMemory: true as const } : {})

/** A started command that a signal ended which nobody here had sent. */
export const failureOfKill = (casualty: Casualty, exit: ProcessExit, place: Place): Failure => ({
  casualty: { ...casualty, ...place, ...known(exit) },
  cause: causeOfEnd({ signal: exit.signal }),
  weight: 'own',
  code: 'E_GANG_PROCESS_KILLED',
})

/** The keeper of this member ended: everything below it is ended by the kernel or by the keeper above. */
export const failureOfKeeper = (exit: ProcessExit, pid: number, place: Place): Failure => ({
  casualty: {
    ...place,
    kind: 'keeper',
    pid,
    ...(exit.code === null ? {} : { exitCode: exit.code }),
    ...(exit.signal ? { signal: exit.signal } : {}),
  },
  cause: 'infrastructure',
  weight: 'own',
  code: 'E_GANG_KEEPER_LOST',
})

/** Somebody asked the agent to end: not the launcher, which says so on its connection. */
export const failureOfSignal = (signal: NodeJS.Signals, place: Place): Failure => ({
  casualty: { ...place, kind: 'agent', pid: process.pid, signal },
  cause: causeOfEnd({ signal }),
  weight: 'own',
  code: 'E_GANG_AGENT_LOST',
  fix: 'find out who sent the signal: a person, a scheduler, or the system that shuts down',
})

/** A fault of the agent itself. */
export const failureOfAgent = (error: unknown, place: Place): Failure => ({
  casualty: {
    ...place,
    kind: 'agent',
    pid: process.pid,
    error: { message: messageOf(error), ...(error instanceof Error && error.stack ? { stack: error.stack } : {}) },
  },
  cause: 'infrastructure',
  weight: 'own',
  code: 'E_GANG_AGENT_FAULT',
})

/** A program that a plugin needs is not here: said before the body starts. */
export const failureOfExecutables = (missing: readonly string[], path: string, place: Place): Failure => ({
  casualty: { ...place, kind: 'member' },
  cause: 'user',
  weight: 'own',
  code: 'E_GANG_EXECUTABLE',
  summary: `node ${place.node} (${place.host}) has no ${missing.map((name) => `'${name}'`).join(', ')} on its PATH (${path})`,
  fix: 'install it there, or set PATH with @environment',
})
