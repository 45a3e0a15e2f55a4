import { readFileSync, writeFileSync } from 'node:fs'
import type { SourceLocation } from '../errors/base.js'

/**
 * What a body leaves in a file when its step calls `process.exit`, since nothing can be said on a socket then.
 * Written synchronously at exit, read by its host.
 */
export interface LastWords {
  readonly exitCode: number
  readonly step: string
  /** Where `process.exit` was called. */
  readonly location?: SourceLocation
  readonly stack?: string
}

/** Path of the file for a body of this name, beside its host's socket. */
export const lastWordsPath = (socket: string, name: string): string => `${socket}.${name}.end`

export function writeLastWords(path: string, words: LastWords): void {
  try {
    writeFileSync(path, JSON.stringify(words), { mode: 0o600 })
  } catch {
    // The host then tells of the exit code alone.
  }
}

export function readLastWords(path: string): LastWords | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as LastWords
  } catch {
    return undefined
  }
}
