import type { Program } from '../protocol.js'
import { Encoder } from './encode.js'
import { Inspection } from './inspect.js'
import { ModuleWanted, Packages } from './packages.js'

export interface Captured {
  readonly program: Program
  /** Captured names that the function's text writes to, for the error of a worker that refuses. */
  readonly writes: readonly string[]
}

/** Modules that a function may need are few; more rounds than this mean that one cannot be found. */
const mostRounds = 1000

/**
 * A function with what it uses of the variables around it, as data. Throws `E_MAP_CAPTURE`, `E_MAP_READONLY` where
 * something cannot be sent, with the path to it.
 */
export async function capture(fn: unknown, isolation: 'thread' | 'process'): Promise<Captured> {
  const packages = new Packages()
  const inspection = new Inspection()
  try {
    const acorn = await import('acorn')
    for (let round = 0; ; round++) {
      try {
        return new Encoder(acorn, inspection, packages, isolation).program(fn)
      } catch (error) {
        if (round > mostRounds) throw error
        if (error instanceof ModuleWanted) await packages.learn(error.url)
        // What cannot be sent may belong to a package whose file was not known.
        else if (!inspection.learnAll()) throw error
      }
    }
  } finally {
    inspection.end()
  }
}
