import { types } from 'node:util'
import { typedArrayTags } from './tags.js'

/** How core saves an object; `foreign` is what it cannot save itself. */
export type Kind =
  | 'array'
  | 'object'
  | 'bare'
  | 'map'
  | 'set'
  | 'date'
  | 'regexp'
  | 'url'
  | 'error'
  | 'buffer'
  | 'typed'
  | 'arraybuffer'
  | 'dataview'
  | 'foreign'

/** True for the prototype that `{}` has, of whichever realm. */
const isObjectPrototype = (prototype: object): boolean =>
  prototype === Object.prototype ||
  (Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, 'isPrototypeOf'))

/** True when the prototype is the built-in's own, not that of a class that extends it. */
const isDirect = (prototype: object | null, name: string): boolean =>
  prototype !== null &&
  Object.hasOwn(prototype, 'constructor') &&
  prototype.constructor?.name === name &&
  /\[native code\]|^class URL\b/.test(Function.prototype.toString.call(prototype.constructor))

export function classify(value: object): Kind {
  const prototype = Object.getPrototypeOf(value) as object | null
  if (prototype === Array.prototype) return 'array'
  if (prototype === Object.prototype) return 'object'
  if (prototype === null) return 'bare'
  if (ArrayBuffer.isView(value)) {
    if (types.isSharedArrayBuffer(value.buffer)) return 'foreign'
    if (Buffer.isBuffer(value)) return 'buffer'
    const name = prototype.constructor?.name ?? ''
    if (typedArrayTags.has(name) && isDirect(prototype, name)) return 'typed'
    return isDirect(prototype, 'DataView') ? 'dataview' : 'foreign'
  }
  if (types.isMap(value)) return prototype === Map.prototype || isDirect(prototype, 'Map') ? 'map' : 'foreign'
  if (types.isSet(value)) return prototype === Set.prototype || isDirect(prototype, 'Set') ? 'set' : 'foreign'
  if (types.isDate(value)) return prototype === Date.prototype || isDirect(prototype, 'Date') ? 'date' : 'foreign'
  if (types.isRegExp(value)) return isDirect(prototype, 'RegExp') ? 'regexp' : 'foreign'
  if (types.isNativeError(value)) return 'error'
  if (types.isArrayBuffer(value)) return 'arraybuffer'
  if (value instanceof URL && prototype === URL.prototype) return 'url'
  if (Array.isArray(value)) return isDirect(prototype, 'Array') ? 'array' : 'foreign'
  return isObjectPrototype(prototype) ? 'object' : 'foreign'
}

const counted = (name: string, count: number): string => `${name}(${count})`

/** A short human word for a value: `number`, `Float64Array(1000)`, `Map(3)`, a class's name. */
export function wordFor(value: unknown): string {
  if (value === null) return 'null'
  if (typeof value !== 'object') return typeof value
  const name = (Object.getPrototypeOf(value) as object | null)?.constructor?.name || 'Object'
  if (Array.isArray(value)) return counted(name, value.length)
  if (types.isMap(value) || types.isSet(value)) return counted(name, value.size)
  if (ArrayBuffer.isView(value)) {
    return counted(name, 'length' in value ? (value.length as number) : value.byteLength)
  }
  if (types.isAnyArrayBuffer(value)) return counted(name, value.byteLength)
  return name
}
