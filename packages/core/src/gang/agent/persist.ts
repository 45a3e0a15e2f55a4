import { setTimeout as pause } from 'node:timers/promises'
import { GangflowError } from '../../errors/base.js'

/** Milliseconds between two tries to reach the owner; with a random part, as all members may be turned away at once. */
const AGAIN_MS = 100

/**
 * Dials until it is through, or the time is over: then with the last failure. A way that breaks in the rush of a start is
 * no end. What no further try changes is thrown at once: the owner has gone, or does not take this member.
 */
export async function persist<T>(dial: (leftMs: number) => Promise<T>, limitMs: number): Promise<T> {
  const deadline = performance.now() + limitMs
  let before: unknown
  for (;;) {
    try {
      return await dial(Math.max(1, Math.ceil(deadline - performance.now())))
    } catch (error) {
      if (final.has(GangflowError.is(error) ? error.code : '')) throw error
      // That the time was over says less than what went wrong while there was some.
      if (performance.now() >= deadline) throw isLate(error) ? (before ?? error) : error
      before = error
      await pause(AGAIN_MS * (0.5 + Math.random()))
    }
  }
}

const isLate = (error: unknown): boolean => error instanceof Error && /^(?:Timeout|Abort)Error$/.test(error.name)

/** Refusals that no further try changes; a duplicate is one until the owner has seen the old connection's end. */
export const isFinal = (code: string): boolean => refusals.has(code)

const refusals: ReadonlySet<string> = new Set(['E_GANG_EPOCH', 'E_GANG_STRANGER', 'E_GANG_LATE', 'E_GANG_SECRET'])
const final: ReadonlySet<string> = new Set([...refusals, 'E_GANG_REFUSED', 'E_GANG_PROTOCOL'])
