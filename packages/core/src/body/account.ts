import { noAnswer } from '../datastore/relay/failures.js'
import type { ErrorFacts } from '../errors/base.js'
import type { Casualty, Cause } from '../errors/verdict.js'
import type { ProcessExit } from '../process/contract.js'
import type { BodyOutcome, StopReason } from './contract.js'
import type { DiskWait } from './disk-wait.js'
import type { LastWords } from './last-words.js'
import type { Completion } from './protocol.js'

type Failure = Omit<Extract<BodyOutcome, { ok: false }>, 'durationMs' | 'at'>

/** What is known of a body that ended without success. */
export interface Remains {
  readonly step: string
  readonly pid?: number | undefined
  readonly host?: string
  readonly exit?: ProcessExit | undefined
  readonly lastLines: readonly string[]
}

/** Of the datastore below a step, which the step did nothing for. */
const datastoreFailed = /^E_DATASTORE_(FULL|PERMISSION|FILESYSTEM|IO|CORRUPT|BLOB_MISSING|TIMEOUT|LOST)$/

/** A body that said what its step threw. */
export function accountOfError(error: Extract<Completion, { ok: false }>['error'], remains: Remains): Failure {
  const at = error.location ? ` at ${error.location.file}:${error.location.line}` : ''
  return {
    ok: false,
    cause: isMachines(error) ? 'infrastructure' : 'user',
    code: error.code,
    summary:
      error.name === 'GangflowError' ? `${error.what}${at}` : `step '${remains.step}' threw ${titled(error)}${at}`,
    ...(error.fix === undefined ? {} : { fix: error.fix }),
    casualty: {
      ...casualtyOf(remains),
      error: {
        message: titled(error),
        ...(error.stack === undefined ? {} : { stack: error.stack }),
        code: error.code,
      },
    },
    error,
  }
}

/** Of system calls that a full or broken disk refuses, whoever made them. */
const machineErrnos: ReadonlySet<unknown> = new Set(['ENOSPC', 'EDQUOT', 'EIO', 'ESTALE', 'EREMOTEIO'])

/** What a step threw, but a disk, a mount or the datastore is to blame for: another host may do better. */
const isMachines = ({ code, details }: Extract<Completion, { ok: false }>['error']): boolean =>
  datastoreFailed.test(code) || machineErrnos.has(details?.['code'])

/** A body that was stopped by whoever had started it. */
export function accountOfStop(reason: StopReason, remains: Remains): Failure {
  const late = reason.cause === 'timeout'
  return {
    ok: false,
    cause: reason.cause,
    code: late ? 'E_STEP_TIMEOUT' : 'E_STEP_STOPPED',
    summary: late ? `step '${remains.step}' ${reason.why}` : `step '${remains.step}' was stopped: ${reason.why}`,
    ...(late ? { fix: 'raise @timeout where the step needs so long; its last lines say how far it came' } : {}),
    casualty: casualtyOf(remains),
  }
}

/** A process that ended by itself, or by somebody else's hand, before its step was done. */
export function accountOfDeath(remains: Remains, words: LastWords | undefined): Failure {
  const { exit, step } = remains
  const told = (cause: Cause, code: string, summary: string, fix: string): Failure => ({
    ok: false,
    cause,
    code,
    summary,
    fix,
    casualty: { ...casualtyOf(remains), ...(exit?.outOfMemory ? { outOfMemory: true } : {}) },
  })
  if (words) {
    const at = words.location ? ` at ${words.location.file}:${words.location.line}` : ''
    return told(
      'user',
      'E_STEP_EXITED',
      `step '${step}' called process.exit(${words.exitCode})${at}`,
      'let the step return, or throw an error to fail it',
    )
  }
  if (exit?.keeperLost) {
    return told(
      'infrastructure',
      'E_KEEPER_LOST',
      `the parent of the body of step '${step}' was itself ended, and the body with it`,
      'find out who ended gangflow-keeper, then `gangflow resume`: no @retry helps, all that a run starts hangs below it',
    )
  }
  const heap = remains.lastLines.some((line) => /JavaScript heap out of memory|Reached heap limit/.test(line))
  if (heap) {
    return told(
      'user',
      'E_BODY_MEMORY',
      `step '${step}' needed more memory than Node's heap may have`,
      "raise the limit with @environment({ vars: { NODE_OPTIONS: '--max-old-space-size=8192' } }), or hold less at once",
    )
  }
  if (exit?.outOfMemory) {
    return told(
      'infrastructure',
      'E_BODY_MEMORY',
      `the system ran out of memory and killed the body of step '${step}'`,
      'run fewer tasks at once (--max-workers), ask for more memory with @resources, or hold less at once',
    )
  }
  if (exit?.signal) {
    const crash = ['SIGSEGV', 'SIGABRT', 'SIGBUS', 'SIGILL', 'SIGFPE', 'SIGTRAP'].includes(exit.signal)
    return told(
      crash ? 'user' : exit.signal === 'SIGTERM' ? 'preempted' : 'infrastructure',
      'E_BODY_SIGNAL',
      `the body of step '${step}' was ended by ${exit.signal}`,
      crash ? 'a native addon or Node itself crashed; its last lines may say where' : 'find out who sent the signal',
    )
  }
  return told(
    exit ? 'user' : 'infrastructure',
    'E_BODY_LOST',
    exit
      ? `the body of step '${step}' ended with exit code ${exit.code} before the step was done`
      : `the body of step '${step}' closed its connection before the step was done`,
    'its last lines may say why',
  )
}

/** A body that was ended since a disk did not answer it. */
export function accountOfHang(remains: Remains, { whom, doing, limitMs }: DiskWait): Failure {
  const { code, what, fix } = noAnswer(whom, doing, limitMs)
  return {
    ok: false,
    cause: 'infrastructure',
    code,
    summary: `step '${remains.step}': ${what}`,
    ...(fix === undefined ? {} : { fix }),
    casualty: { ...casualtyOf(remains), error: { message: what, code } },
  }
}

/** A body that never came up, or a host that could not start it. */
export function accountOfStart(error: ErrorFacts, remains: Remains): Failure {
  return {
    ok: false,
    cause: 'infrastructure',
    code: error.code,
    summary: `the body of step '${remains.step}' did not come up: ${error.what}`,
    ...(error.fix === undefined ? {} : { fix: error.fix }),
    casualty: { ...casualtyOf(remains), error: { message: error.what, code: error.code } },
    error,
  }
}

function casualtyOf(remains: Remains): Casualty {
  const { pid, exit, lastLines } = remains
  return {
    kind: 'body',
    process: 'body',
    ...(pid === undefined ? {} : { pid }),
    ...(typeof exit?.code === 'number' ? { exitCode: exit.code } : {}),
    ...(exit?.signal ? { signal: exit.signal } : {}),
    ...(lastLines.length > 0 ? { lastLines } : {}),
  }
}

function titled(error: { readonly name: string; readonly what: string }): string {
  return error.name === 'GangflowError' ? error.what : `${error.name}: ${error.what}`
}
