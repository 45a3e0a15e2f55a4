import { isProxy } from 'node:util/types'

export interface BuiltinPlace {
  readonly module: string | undefined
  readonly path: readonly string[]
}

let known: Map<unknown, BuiltinPlace> | undefined
let ownGlobals: Set<string> | undefined

/** Where the language or Node has this object or function; undefined where it is the program's own. */
export function builtinPlace(value: unknown): BuiltinPlace | undefined {
  known ??= learn()
  return known.get(value)
}

/** The same once more, with the modules that were loaded since. */
export function builtinPlaceNow(value: unknown): BuiltinPlace | undefined {
  known = learn()
  return known.get(value)
}

/** Whether the program put this name on the global object: a worker's has it not. */
export function isAddedGlobal(name: string): boolean {
  ownGlobals ??= new Set([
    ...['global', 'process', 'Buffer', 'console', 'clearImmediate', 'setImmediate', 'clearInterval', 'clearTimeout'],
    ...['setInterval', 'setTimeout', 'queueMicrotask', 'structuredClone', 'atob', 'btoa', 'performance', 'fetch'],
    ...['crypto', 'navigator'],
  ])
  const descriptor = Object.getOwnPropertyDescriptor(globalThis, name)
  return descriptor?.enumerable === true && !ownGlobals.has(name)
}

function learn(): Map<unknown, BuiltinPlace> {
  const places = new Map<unknown, BuiltinPlace>([[globalThis, { module: undefined, path: [] }]])
  for (const name of Object.getOwnPropertyNames(globalThis))
    if (!isAddedGlobal(name)) note(places, globalThis, name, undefined, [], 3)
  // Asking for a module that is not loaded would load it; what is not loaded is in no variable.
  const loaded = (process as unknown as { moduleLoadList: string[] }).moduleLoadList
  for (const entry of loaded) {
    const name = /^NativeModule (?!internal\/)(.+)$/.exec(entry)?.[1]
    const module = name && process.getBuiltinModule(name)
    if (!name || !module) continue
    add(places, module, `node:${name}`, [], 2)
  }
  return places
}

function add(
  places: Map<unknown, BuiltinPlace>,
  value: unknown,
  module: string | undefined,
  path: readonly string[],
  depth: number,
): void {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null || places.has(value)) return
  // What stands on the global object for everybody to change (`process.env`) is still reached by its path.
  places.set(value, { module, path })
  if (depth === 0 || isProxy(value)) return
  for (const key of Object.getOwnPropertyNames(value)) note(places, value, key, module, path, depth - 1)
}

/** Accessors are left alone: reading one can load what nobody asked for. */
function note(
  places: Map<unknown, BuiltinPlace>,
  holder: object,
  key: string,
  module: string | undefined,
  path: readonly string[],
  depth: number,
): void {
  const descriptor = Object.getOwnPropertyDescriptor(holder, key)
  if (descriptor && 'value' in descriptor) add(places, descriptor.value, module, [...path, key], depth)
}
