import * as types from 'node:util/types'
import { builtinPlace } from './builtins.js'
import { refuse } from './refuse.js'

const exact = new Map<unknown, 'array' | 'map' | 'set'>([
  [Array.prototype, 'array'],
  [Map.prototype, 'map'],
  [Set.prototype, 'set'],
])

/** How an object is to be sent; refuses what cannot be. */
export function judgeObject(
  value: object,
  path: string,
  name: string,
): 'array' | 'map' | 'set' | 'object' | 'data' | 'shared' {
  const tag = Object.prototype.toString.call(value)
  const open = "open it inside the function or in the pool's `init`"
  if (types.isProxy(value)) refuse(name, path, 'it is a Proxy', 'pass what it stands for')
  if (types.isPromise(value)) refuse(name, path, 'it is a Promise', 'await it first')
  if (/(?: Iterator|Generator)\]$/.test(tag))
    refuse(name, path, 'it is an iterator that is under way', 'pass an array of what it gives')
  if (value instanceof WeakMap || value instanceof WeakSet || value instanceof WeakRef)
    refuse(name, path, 'its entries cannot be seen', 'pass a Map, a Set or the value itself')
  if (types.isSharedArrayBuffer(value)) return 'shared'
  // Threads share both: compiled code, and memory that was made to be shared.
  if (tag === '[object WebAssembly.Module]') return 'shared'
  if (tag === '[object WebAssembly.Memory]' && (value as { buffer?: unknown }).buffer instanceof SharedArrayBuffer)
    return 'shared'
  const proto = Object.getPrototypeOf(value) as object | null
  const listed = exact.get(proto)
  if (listed) return listed
  if (types.isDate(value) || types.isRegExp(value) || types.isArrayBuffer(value) || types.isBoxedPrimitive(value))
    return 'data'
  if (types.isNativeError(value)) return 'data'
  if (types.isMap(value) || types.isSet(value) || Array.isArray(value))
    refuse(name, path, `it is an instance of ${typeOf(value)}, a class that extends a built-in one`, open)
  if (types.isExternal(value)) refuse(name, path, 'it is a native handle', open)
  for (let at = proto; at !== null && at !== Object.prototype; at = Object.getPrototypeOf(at)) {
    const type: unknown = Object.hasOwn(at, 'constructor') ? at.constructor : undefined
    const native =
      typeof type === 'function' && /\{\s*\[native code\]\s*\}$/.test(Function.prototype.toString.call(type))
    if (native || (type !== undefined && builtinPlace(type))) refuseNodes(value, path, name)
    const hidden = typeof type === 'function' && privateIn(Function.prototype.toString.call(type))
    if (hidden)
      refuse(name, path, `it is an instance of ${typeOf(value)}, whose private ${hidden} cannot be seen`, open)
  }
  if (hasHandle(value)) refuseNodes(value, path, name)
  return 'object'
}

/** What the language or Node made, or what extends that. */
function refuseNodes(value: object, path: string, name: string): never {
  const type = typeOf(value)
  if (value instanceof AbortSignal || value instanceof AbortController)
    refuse(name, path, `it is an ${type}, which is heard in this thread only`, 'give the map itself the `signal`')
  const isLive = hasHandle(value) || typeof (value as { on?: unknown }).on === 'function'
  if (isLive) refuse(name, path, `it is a live handle (${type})`, "open it inside the function or in the pool's `init`")
  refuse(name, path, `its inside cannot be seen (${type})`, "make it inside the function or in the pool's `init`")
}

function typeOf(value: object): string {
  return (value.constructor as { name?: string } | undefined)?.name || 'a class'
}

/** A private field that a class' text declares. */
function privateIn(text: string): string | undefined {
  return /^class\b/.test(text) ? /(?<![\w'"`])#[A-Za-z_$][\w$]*(?=\s*[=;(\n])/.exec(text)?.[0] : undefined
}

/** Node keeps what it opened behind `_handle`. */
function hasHandle(value: object): boolean {
  const handle = Object.getOwnPropertyDescriptor(value, '_handle')?.value as unknown
  return typeof handle === 'object' && handle !== null
}
