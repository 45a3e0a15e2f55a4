import { fileURLToPath } from 'node:url'
import type { SourceLocation } from '../errors/base.js'

/** The innermost frame of an error's stack in code that is no package's; undefined without one. */
export function frameLocation(thrown: unknown): SourceLocation | undefined {
  if (!(thrown instanceof Error) || typeof thrown.stack !== 'string') return undefined
  return stackLocation(thrown.stack)
}

/** The innermost frame of a stack's text in code that is no package's. */
export function stackLocation(stack: string): SourceLocation | undefined {
  for (const line of stack.split('\n')) {
    const found = /^\s+at .*?\(?((?:file:\/\/)?\/[^()]*?):(\d+):(\d+)\)?$/.exec(line)
    if (!found?.[1] || /\/node_modules\//.test(found[1])) continue
    const file = found[1].startsWith('file:') ? fileURLToPath(found[1]) : found[1]
    return { file, line: Number(found[2]), column: Number(found[3]) }
  }
  return undefined
}
