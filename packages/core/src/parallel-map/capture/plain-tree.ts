/** Whether this is arrays, plain objects and primitives all through: what cloning keeps exactly. */
export function isPlainTree(value: object, seen = new Set<object>()): boolean {
  if (seen.has(value)) return true
  seen.add(value)
  const proto = Object.getPrototypeOf(value)
  const isArray = Array.isArray(value)
  if (proto !== (isArray ? Array.prototype : Object.prototype)) return false
  if (Object.getOwnPropertySymbols(value).length > 0) return false
  if (isArray) return (value as unknown[]).every((each) => isPlain(each, seen))
  for (const key in value) {
    const { value: each, get, set } = Object.getOwnPropertyDescriptor(value, key) ?? { get: undefined, set: undefined }
    if (get || set || !isPlain(each, seen)) return false
  }
  return true
}

function isPlain(value: unknown, seen: Set<object>): boolean {
  if (typeof value === 'object') return value === null || isPlainTree(value, seen)
  return typeof value !== 'function' && typeof value !== 'symbol'
}
