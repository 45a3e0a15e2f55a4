import { setTimeout as pause } from 'node:timers/promises'

/** Waits for something, at most so many milliseconds, and leaves no timer behind that would keep the process. */
export async function within(work: Promise<unknown>, ms: number): Promise<void> {
  const late = new AbortController()
  try {
    await Promise.race([work, pause(ms, undefined, { signal: late.signal })])
  } finally {
    late.abort()
  }
}
