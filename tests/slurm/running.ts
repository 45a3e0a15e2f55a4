import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { slack } from '../support/gang.js'
import { until } from './cluster.js'

/** A command of gangflow that was started, and what it prints, both streams together. */
export interface Running {
  readonly child: ChildProcess
  readonly ended: Promise<{ readonly code: number | null; readonly text: string }>
  /** Waits for a text in its output; throws with all of it where it ends, or a minute goes by, without. */
  says(text: RegExp): Promise<RegExpExecArray>
}

/** Follows a command whose standard output and error are pipes. */
export function follow(child: ChildProcess): Running {
  let text = ''
  for (const stream of [child.stdout!, child.stderr!])
    stream.setEncoding('utf8').on('data', (more: string) => (text += more))
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, text }))
  return {
    child,
    ended,
    says: async (wanted) => {
      const over = () => wanted.test(text) || child.exitCode !== null || child.signalCode !== null
      await until(`${wanted}`, over, 60_000 * slack).catch(() => {})
      const found = wanted.exec(text)
      if (!found) throw new Error(`it did not say ${wanted}:\n${text}`)
      return found
    },
  }
}
