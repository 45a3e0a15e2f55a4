import type { ArtifactCodec } from '../../flow/values.js'
import { classify } from './classify.js'
import { type PathSegment, refusal, type Subject, unsupported } from './refuse.js'

/** What the encoder has to know before its first byte. */
export interface Survey {
  /** Objects that are met more than once: they are written once and referred to, cycles too. */
  readonly shared: ReadonlySet<object>
  /** What codecs save, in the order met. */
  readonly coded: ReadonlyMap<unknown, ArtifactCodec>
}

/** Deeper nesting would overflow the stack. */
export const MAX_DEPTH = 1000

/** Walks a value once; throws E_ARTIFACT_UNSUPPORTED with the path to the first thing that cannot be saved. */
export function survey(value: unknown, subject: Subject, codecs: readonly ArtifactCodec[]): Survey {
  const walk = new Walk(subject, codecs)
  walk.visit(value)
  return walk
}

class Walk implements Survey {
  readonly shared = new Set<object>()
  readonly coded = new Map<unknown, ArtifactCodec>()
  readonly #seen = new Set<object>()
  readonly #path: PathSegment[] = []

  constructor(
    private readonly subject: Subject,
    private readonly codecs: readonly ArtifactCodec[],
  ) {}

  visit(value: unknown) {
    if (typeof value === 'function' || typeof value === 'symbol') return this.#code(value)
    if (typeof value !== 'object' || value === null) return
    if (this.#seen.has(value)) {
      this.shared.add(value)
      return
    }
    this.#seen.add(value)
    if (this.#path.length >= MAX_DEPTH) {
      const fix = 'flatten it, for example into an array of nodes that name each other by index'
      throw refusal(`nested more than ${MAX_DEPTH} levels deep`, fix, this.#path.slice(0, 5), this.subject)
    }
    switch (classify(value)) {
      case 'array':
        return this.#array(value as unknown[])
      case 'object':
      case 'bare':
        return this.#properties(value, Object.keys(value))
      case 'map': {
        for (const [key, item] of value as Map<unknown, unknown>) {
          this.#at({ key }, key)
          this.#at({ key }, item)
        }
        return
      }
      case 'set': {
        let member = 0
        for (const item of value as Set<unknown>) this.#at({ member: member++ }, item)
        return
      }
      case 'error': {
        const error = value as Error & { errors?: unknown }
        if ('cause' in error) this.#at('cause', error.cause)
        if (error instanceof AggregateError) this.#at('errors', error.errors)
        return this.#properties(value, Object.keys(value))
      }
      case 'foreign':
        return this.#code(value)
      default:
        return
    }
  }

  #array(value: unknown[]): void {
    for (let index = 0; index < value.length; index++) {
      const item = value[index]
      if (typeof item === 'object' || typeof item === 'function' || typeof item === 'symbol') this.#at(index, item)
    }
    const extra = extraKeys(value)
    if (extra.length > 0) this.#properties(value, extra)
  }

  #properties(value: object, keys: readonly string[]): void {
    for (const key of keys) {
      const item = (value as Record<string, unknown>)[key]
      if (typeof item === 'object' || typeof item === 'function' || typeof item === 'symbol') this.#at(key, item)
    }
    for (const symbol of Object.getOwnPropertySymbols(value)) {
      if (Object.prototype.propertyIsEnumerable.call(value, symbol)) {
        const fix = 'use a string as the key, or make the property not enumerable if it need not be saved'
        throw refusal(`an object with a property named by a symbol (${String(symbol)})`, fix, this.#path, this.subject)
      }
    }
  }

  #at(segment: PathSegment, value: unknown): void {
    if (value === null) return
    this.#path.push(segment)
    this.visit(value)
    this.#path.pop()
  }

  #code(value: unknown): void {
    const codec = this.codecs.find((candidate) => candidate.matches(value))
    if (codec === undefined) throw unsupported(value, this.#path, this.subject)
    this.coded.set(value, codec)
  }
}

/** The enumerable properties of an array that are no elements (as of a regular expression's match). */
export function extraKeys(array: readonly unknown[]): string[] {
  // Elements come first in the order of keys, so an array with further properties ends with one of them.
  const keys = array.length > 65_536 ? [] : Object.keys(array)
  let first = keys.length
  while (first > 0 && !isIndex(keys[first - 1]!)) first--
  return keys.slice(first)
}

const isIndex = (key: string): boolean => {
  const index = Number(key)
  return Number.isInteger(index) && index >= 0 && index < 4_294_967_295 && String(index) === key
}
