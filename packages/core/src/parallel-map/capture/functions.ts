import type { Analysis } from './analyse.js'
import type { Finding } from './free-names.js'
import { refuse } from './refuse.js'

const plainKeys = new Set(['length', 'name', 'prototype', 'arguments', 'caller'])

/** Whether an own property of a function was put on it. What a class' own text makes is not; its static fields are. */
export function isAdded(fn: object, key: string, { isClass }: Analysis): boolean {
  if (plainKeys.has(key)) return false
  const descriptor = Object.getOwnPropertyDescriptor(fn, key)!
  return !(isClass && (!('value' in descriptor) || typeof descriptor.value === 'function'))
}

export function isRequire(fn: object): boolean {
  return (fn as { name?: string }).name === 'require' && 'resolve' in fn && 'cache' in fn
}

/** Native functions have no text; `name` is that of the function that is sent. */
export function refuseNative(fn: object, text: string, path: string, name: string): void {
  if (!/\{\s*\[native code\]\s*\}$/.test(text)) return
  if ((fn as { name?: string }).name?.startsWith('bound '))
    refuse(name, path, 'it is a bound function, whose parts nobody can see', 'write an arrow that calls it')
  refuse(name, path, 'it is native', "load the add-on inside the function or in the pool's `init`")
}

/** Refuses a text that means something only where it was written; `isRoot`: nobody calls it with a `this`. */
export function refuseElsewhere(finding: Finding, path: string, name: string, isRoot: boolean): void {
  if (finding.refused !== undefined) {
    const fix =
      finding.refused === 'import.meta'
        ? 'compute what you need of it outside, into a variable'
        : 'write it as a function or class that stands by itself'
    refuse(name, path, `it uses ${finding.refused}, which means something only where it was written`, fix)
  }
  if (finding.ownThis && isRoot)
    refuse(
      name,
      `\`this\` of ${path}`,
      'it is called with no `this`',
      'write an arrow, and pass what it needs by variables',
    )
}
