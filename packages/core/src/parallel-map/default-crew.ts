import { Crew } from './crew/crew.js'
import type { PoolSettings } from './options.js'

/** Milliseconds that workers without work are kept for the next map. */
const idle = 5000

interface Kept {
  readonly crew: Crew
  users: number
  timer: NodeJS.Timeout | undefined
}

const kept = new Map<string, Kept>()

/** Runs something with the workers that maps of these settings share; they stay warm for a while after it. */
export async function withCrew<T>(settings: PoolSettings, use: (crew: Crew) => Promise<T>): Promise<T> {
  const key = JSON.stringify(settings)
  const entry = kept.get(key) ?? {
    crew: new Crew({ ...settings, size: settings.workers, init: undefined }),
    users: 0,
    timer: undefined,
  }
  kept.set(key, entry)
  clearTimeout(entry.timer)
  entry.users++
  try {
    return await use(entry.crew)
  } finally {
    if (--entry.users === 0) {
      entry.timer = setTimeout(() => {
        kept.delete(key)
        void entry.crew.end()
      }, idle).unref()
    }
  }
}
