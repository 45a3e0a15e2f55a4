import { viewTypes } from './views.js'

const errors = [Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError, AggregateError]
const plain = new Set<unknown>(
  [
    ...[Object, Array, Map, Set, Date, RegExp, Boolean, Number, String, BigInt],
    ...[ArrayBuffer, SharedArrayBuffer, Buffer, Blob, ...Object.values(viewTypes), ...errors],
  ].map((type) => type.prototype),
)
/** Of those that extend one, cloning keeps what they extend, and nothing of the class. */
const kept = new Set(['Array', 'Map', 'Set', 'Date', 'RegExp'].map((kind) => `[object ${kind}]`))
const mostLooked = 1000
const largestView = 2 ** 32

/**
 * What of a value cloning would lose without a word, as a text; undefined where nothing is. Looks at up to a thousand
 * values in it, which is what a check may cost.
 */
export function unsendable(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  return look(value, '', { left: mostLooked, seen: undefined })
}

/** Whether cloning would leave nothing but its fields, or of one that extends an Array or its like nothing but that. */
function isEmptied(value: object, proto: object): boolean {
  const tag = Object.prototype.toString.call(value)
  if (tag === '[object Object]') return true
  // Another realm (node:vm) has types of its own; an error that a function gives is kept as an error.
  if (kept.has(tag)) return !isNative(proto.constructor)
  if (tag === '[object Error]' || ArrayBuffer.isView(value)) return false
  try {
    return Object.getPrototypeOf(structuredClone(value)) === Object.prototype
  } catch {
    // What cannot be cloned at all says so itself.
    return false
  }
}

const isNative = (type: unknown): boolean =>
  typeof type === 'function' && /\{\s*\[native code\]\s*\}$/.test(Function.prototype.toString.call(type))

interface Looked {
  left: number
  seen: Set<object> | undefined
}

function look(value: object, path: string, looked: Looked): string | undefined {
  if (looked.left-- <= 0) return undefined
  const proto = Object.getPrototypeOf(value)
  if (proto !== null && !plain.has(proto) && isEmptied(value, proto))
    return `${path === '' ? 'it' : path.slice(1)} is an instance of ${proto.constructor?.name || 'a class'}, which would arrive without its methods`
  if (ArrayBuffer.isView(value)) {
    if (value.buffer.byteLength > largestView && value.byteLength > 0)
      return `${path === '' ? 'it' : path.slice(1)} is a view over more than 4 GiB, which would arrive with a wrong length`
    return undefined
  }
  if (!Array.isArray(value) && proto !== Object.prototype && proto !== null) return undefined
  if (Array.isArray(value) && typeof value[0] !== 'object' && value.length > mostLooked) return undefined
  looked.seen ??= new Set()
  if (looked.seen.has(value)) return undefined
  looked.seen.add(value)
  for (const key of Object.keys(value)) {
    const inner = (value as Record<string, unknown>)[key]
    if (typeof inner !== 'object' || inner === null) continue
    const found = look(inner, `${path}.${key}`, looked)
    if (found !== undefined) return found
  }
  return undefined
}
