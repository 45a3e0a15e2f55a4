import type { StopReason } from '../body/contract.js'
import { messageOf } from '../errors/base.js'
import type { RunEvent, RunHandle, RunResult } from './contract.js'
import { EventLog } from './events.js'

/** What a handle lets its reader do, seen from the run. */
export interface RunControl {
  /** Aborted once with a `StopReason` when the run is to end. */
  readonly signal: AbortSignal
  /** Aborted when whatever is left is to be killed without grace. */
  readonly kill: AbortSignal
  /** Aborted when the run is to be left to its jobs. */
  readonly leave: AbortSignal
  emit(event: Timeless<RunEvent>): void
  /** The run exists. */
  named(flow: string, run: string): void
  /** It can be left to its jobs; false: not any longer. */
  detachable(can?: boolean): void
}

/** A union's members without `at`. */
export type Timeless<T> = T extends unknown ? Omit<T, 'at'> : never

/** Milliseconds between TERM and KILL when a person, or a scheduler, takes the run away (DESIGN D4). */
export const CANCEL_GRACE_MS = 30_000
/** And after a failure. */
export const FAILURE_GRACE_MS = 500

export interface HandleOptions {
  /** Shown as `flow` until the class is known. */
  readonly flow: string
  readonly command: string
  readonly signal?: AbortSignal | undefined
}

/** Starts `drive` at once and gives the handle of it. */
export function startHandle(options: HandleOptions, drive: (control: RunControl) => Promise<RunResult>): RunHandle {
  const log = new EventLog()
  const stop = new AbortController()
  const kill = new AbortController()
  const leave = new AbortController()
  let detachable = false
  let flow = options.flow
  let named!: (run: string) => void
  let unnamed!: (error: unknown) => void
  const id = new Promise<string>((resolve, reject) => {
    named = resolve
    unnamed = reject
  })
  // Whoever awaits only `result` must not meet an unhandled rejection of `id`.
  id.catch(() => {})
  const cancel = (reason = 'cancelled') => {
    if (stop.signal.aborted) return kill.abort()
    stop.abort({ cause: 'cancelled', why: reason, graceMs: CANCEL_GRACE_MS } satisfies StopReason)
  }
  const control: RunControl = {
    signal: stop.signal,
    kill: kill.signal,
    leave: leave.signal,
    emit: (event) => log.emit({ at: Date.now(), ...event } as RunEvent),
    named: (name, run) => {
      flow = name
      named(run)
    },
    detachable: (can = true) => {
      detachable = can
    },
  }
  const onAbort = () => cancel(reasonText(options.signal?.reason))
  if (options.signal?.aborted) onAbort()
  else options.signal?.addEventListener('abort', onAbort, { once: true })
  const result = Promise.resolve()
    .then(() => drive(control))
    .catch((error: unknown) => {
      unnamed(error)
      throw error
    })
    .finally(() => {
      options.signal?.removeEventListener('abort', onAbort)
      log.close()
    })
  // A reader of `events` alone is told by their end; the rejection is for who awaits it.
  result.catch(() => {})
  return {
    get flow() {
      return flow
    },
    command: options.command,
    id,
    events: log,
    result,
    cancel,
    get detachable() {
      return detachable
    },
    detach: () => {
      if (detachable) leave.abort()
      return detachable
    },
  }
}

function reasonText(reason: unknown): string {
  if (typeof reason === 'string') return reason
  if (reason instanceof Error && reason.name !== 'AbortError') return messageOf(reason)
  return 'cancelled'
}
