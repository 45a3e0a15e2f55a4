import type { Program } from '../protocol.js'
import { isAddedGlobal } from './builtins.js'
import { Encoder } from './encode.js'
import { Inspection } from './inspect.js'
import { ModuleWanted, Packages } from './packages.js'

export interface Captured {
  readonly program: Program
  /** Captured names that the function's text writes to, for the error of a worker that refuses. */
  readonly writes: readonly string[]
}

/**
 * Functions that use nothing but themselves and the language: what was captured of one holds for as long as it does. The
 * numbers are of own properties, which may be added, of it and of its `prototype`.
 */
const alone = new WeakMap<object, { captured: Captured; names: readonly string[]; properties: number }>()

/** Modules that a function may need are few; more rounds than this mean that one cannot be found. */
const mostRounds = 1000

/**
 * A function with what it uses of the variables around it, as data. Throws `E_MAP_CAPTURE`, `E_MAP_READONLY` where
 * something cannot be sent, with the path to it.
 */
export async function capture(fn: unknown, isolation: 'thread' | 'process'): Promise<Captured> {
  const known = alone.get(fn as object)
  if (known && known.properties === propertiesOf(fn as object) && !known.names.some(isAddedGlobal))
    return known.captured
  const packages = new Packages()
  const inspection = new Inspection()
  try {
    const acorn = await import('acorn')
    for (let round = 0; ; round++) {
      try {
        const captured = new Encoder(acorn, inspection, packages, isolation).program(fn)
        if (captured.isAlone)
          alone.set(fn as object, { captured, names: captured.missed, properties: propertiesOf(fn as object) })
        return captured
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

function propertiesOf(fn: object): number {
  const { prototype } = fn as { prototype?: unknown }
  const inner = typeof prototype === 'object' && prototype !== null ? Reflect.ownKeys(prototype).length : 0
  return Reflect.ownKeys(fn).length + inner * 1000
}
