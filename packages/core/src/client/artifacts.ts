import { inspect } from 'node:util'
import { readArtifact } from '../datastore/artifacts/source.js'
import type { Datastore } from '../datastore/contract.js'
import type { ArtifactTable } from '../datastore/records.js'
import { GangflowError } from '../errors/base.js'
import type { ArtifactCodec } from '../flow/values.js'

/** Names that JavaScript itself asks any object for; everything else that is not there is a mistake. */
const asked = new Set([
  'then',
  'toJSON',
  'constructor',
  'valueOf',
  'toString',
  'asymmetricMatch',
  '$$typeof',
  'nodeType',
])

export interface ArtifactsOf {
  readonly store: Datastore
  readonly table: ArtifactTable
  readonly ambiguous?: Readonly<Record<string, readonly string[]>> | undefined
  readonly codecs: readonly ArtifactCodec[]
  readonly step: string
}

/** Name and kind of each, without reading any. */
export const typesOf = (table: ArtifactTable): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(table).map(([name, { type }]) => [name, type]))

/**
 * An object whose properties are the artifacts, each read (synchronously) when first asked for and then kept. A name
 * that is no artifact is a named error, never `undefined`.
 */
export function lazyArtifacts<T>({ store, table, ambiguous = {}, codecs, step }: ArtifactsOf): T {
  const target: Record<string, unknown> = {}
  const define = (name: string, get: () => unknown) =>
    Object.defineProperty(target, name, { get, enumerable: true, configurable: true })
  for (const [name, ref] of Object.entries(table)) {
    define(name, () => {
      const value = readArtifact(store, ref, { codecs, name, step })
      Object.defineProperty(target, name, { value, enumerable: true, configurable: true })
      return value
    })
  }
  for (const [name, steps] of Object.entries(ambiguous)) {
    define(name, () => {
      throw new GangflowError({
        code: 'E_ARTIFACT_AMBIGUOUS',
        what: `artifact '${name}' of step '${step}' was set differently by ${steps.join(' and ')}, and the join did not choose`,
        fix: `read it from one of those steps, or set it in '${step}'`,
        step,
        details: { artifact: name, steps },
      })
    })
  }
  const show = () => {
    const types = Object.entries(table).map(([name, { type }]) => `${name}: ${type}`)
    return `Artifacts of ${step} { ${[...types, ...Object.keys(ambiguous).map((name) => `${name}: ambiguous`)].join(', ')} }`
  }
  Object.defineProperty(target, inspect.custom, { value: show })
  return new Proxy(target, {
    get(of, name, receiver) {
      if (typeof name === 'symbol' || Object.hasOwn(of, name)) return Reflect.get(of, name, receiver)
      if (asked.has(name)) return undefined
      throw new GangflowError({
        code: 'E_ARTIFACT_UNKNOWN',
        what: `there is no artifact '${name}' after step '${step}'`,
        fix: `there are: ${Object.keys(of).join(', ') || 'none'}`,
        step,
        details: { artifact: name },
      })
    },
    set: () => false,
    deleteProperty: () => false,
  }) as T
}
