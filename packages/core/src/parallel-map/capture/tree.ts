import type { Node as AcornNode } from 'acorn'

/** A node of the tree, whichever. */
export interface Any extends AcornNode {
  [key: string]: unknown
}

export interface Scope {
  readonly names: Set<string>
  /** The function or class member whose `this` this is. */
  readonly ownThis: AcornNode | undefined
  readonly up: Scope | undefined
}

export function nest(up: Scope | undefined, ownThis?: AcornNode): Scope {
  return { names: new Set(), ownThis, up }
}

export function isKnown(name: string, scope: Scope | undefined): boolean {
  for (let at = scope; at; at = at.up) if (at.names.has(name)) return true
  return false
}

/** What a `this` here belongs to; undefined for that of the arrow itself. */
export function ownThisOf(scope: Scope | undefined): AcornNode | undefined {
  for (let at = scope; at; at = at.up) if (at.ownThis) return at.ownThis
  return undefined
}

export function isNode(value: unknown): value is Any {
  return typeof value === 'object' && value !== null && typeof (value as Any).type === 'string'
}

/** `a.b.c` without its first name: `['b', 'c']`. */
export function pathOf(node: Any): string[] | undefined {
  if (node.type !== 'MemberExpression') return []
  const path = node['computed'] ? undefined : pathOf(node['object'] as Any)
  return path && [...path, (node['property'] as Any)['name'] as string]
}

/** The plain names that a pattern binds or assigns. */
export function* namesIn(pattern: Any | null): Generator<string> {
  if (!pattern) return
  if (pattern.type === 'Identifier') yield pattern['name'] as string
  else if (pattern.type === 'AssignmentPattern') yield* namesIn(pattern['left'] as Any)
  else if (pattern.type === 'RestElement') yield* namesIn(pattern['argument'] as Any)
  else if (pattern.type === 'ArrayPattern') for (const each of pattern['elements'] as Any[]) yield* namesIn(each)
  else if (pattern.type === 'ObjectPattern')
    for (const each of pattern['properties'] as Any[])
      yield* namesIn((each.type === 'RestElement' ? each['argument'] : each['value']) as Any)
}

/** The members that a pattern assigns to: `[a.b, c[d]] = …`. */
export function* membersIn(pattern: Any | null): Generator<Any> {
  if (!pattern) return
  if (pattern.type === 'MemberExpression') yield pattern
  else if (pattern.type === 'AssignmentPattern') yield* membersIn(pattern['left'] as Any)
  else if (pattern.type === 'RestElement') yield* membersIn(pattern['argument'] as Any)
  else if (pattern.type === 'ArrayPattern') for (const each of pattern['elements'] as Any[]) yield* membersIn(each)
  else if (pattern.type === 'ObjectPattern')
    for (const each of pattern['properties'] as Any[])
      yield* membersIn((each.type === 'RestElement' ? each['argument'] : each['value']) as Any)
}
