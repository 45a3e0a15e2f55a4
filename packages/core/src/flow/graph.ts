import { createHash } from 'node:crypto'
import type { Transition } from './description.js'

/** A step as the graph sees it. */
export interface GraphStep {
  readonly name: string
  /** Undefined: it could not be read, and a complaint says so. */
  readonly transition: Transition | undefined
  /** How many arguments its method takes. */
  readonly parameters: number
}

/** The steps that a transition may lead to, each once, in order. */
export function targetsOf(transition: Transition | undefined): readonly string[] {
  switch (transition?.kind) {
    case 'linear':
    case 'foreach':
    case 'gang':
      return [transition.target]
    case 'branch':
      return transition.targets
    case 'switch':
      return [...new Set(Object.values(transition.cases))]
    default:
      return []
  }
}

/** For each step, those that lead to it, in order of declaration. */
export function sourcesOf(steps: Iterable<GraphStep>): Map<string, string[]> {
  const sources = new Map<string, string[]>()
  for (const { name, transition } of steps) {
    for (const target of targetsOf(transition)) sources.set(target, [...(sources.get(target) ?? []), name])
  }
  return sources
}

/** Everything that can be reached from a step by `follow`, itself included. */
export function reachable(from: string, follow: (name: string) => Iterable<string>): Set<string> {
  const seen = new Set([from])
  for (const name of seen) for (const next of follow(name)) seen.add(next)
  return seen
}

/** SHA-256 of JSON, with keys in order. */
export function hashOf(value: unknown): string {
  const ordered = JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
      : inner,
  )
  return createHash('sha256').update(ordered).digest('hex')
}
