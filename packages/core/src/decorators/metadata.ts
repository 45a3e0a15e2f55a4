import type { GangOptions, Resources, RetryPolicy } from '../flow/description.js'
import type { StepPlugin } from '../plugin/contract.js'

/** One thing that a decorator says about a step. */
export type Decoration =
  | { readonly kind: 'step'; readonly method: (...args: never[]) => unknown }
  | { readonly kind: 'retry'; readonly policy: RetryPolicy }
  | { readonly kind: 'catchError'; readonly artifact?: string }
  | { readonly kind: 'timeout'; readonly ms: number }
  | { readonly kind: 'resources'; readonly resources: Resources }
  | { readonly kind: 'environment'; readonly vars: Readonly<Record<string, string>> }
  | { readonly kind: 'parallel'; readonly options: GangOptions }
  | { readonly kind: 'plugin'; readonly plugin: StepPlugin; readonly options: unknown }

/** What one class says of its steps: by method name, in the order of application (the lowest decorator first). */
export type Decorations = Map<string, Decoration[]>

// Node has no Symbol.metadata yet; compilers look for this very symbol when a class is defined.
;(Symbol as { metadata?: symbol }).metadata ??= Symbol.for('Symbol.metadata')
const metadata: symbol = (Symbol as unknown as { metadata: symbol }).metadata
const bagKey = Symbol.for('@gangflow/core.steps')

type Bag = { [bagKey]?: Decorations }

/** The class's own bag in a metadata object, made if absent; never its base's. */
export function ownDecorations(bag: object): Decorations {
  if (!Object.hasOwn(bag, bagKey)) Object.defineProperty(bag, bagKey, { value: new Map(), enumerable: false })
  return (bag as Bag)[bagKey]!
}

/** The metadata object of a class, made if absent: legacy compilers and plain JavaScript have none. */
export function metadataOf(target: object): object {
  if (!Object.hasOwn(target, metadata)) {
    const inherited = (target as Record<symbol, unknown>)[metadata] as object | undefined
    Object.defineProperty(target, metadata, { value: Object.create(inherited ?? null), configurable: true })
  }
  return (target as Record<symbol, object>)[metadata]!
}

/** What this very class says of its steps, not its bases. */
export function decorationsOf(target: object): Decorations {
  // Some compilers do not chain metadata to the base's, so the reader walks the classes and takes own bags alone.
  const bag = Object.hasOwn(target, metadata) ? (target as Record<symbol, unknown>)[metadata] : undefined
  if (typeof bag !== 'object' || bag === null || !Object.hasOwn(bag, bagKey)) return new Map()
  return (bag as Bag)[bagKey]!
}
