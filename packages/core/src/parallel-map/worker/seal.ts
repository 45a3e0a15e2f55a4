/** Marks the refusals of sealed Maps and Sets; frozen objects refuse with V8's own texts. */
export const readOnly = 'is read-only in a worker'

/** Makes a captured value refuse writes: Maps and Sets by their methods, everything else by freezing. */
export function seal(value: object): void {
  for (const [type, methods] of [
    [Map, ['set', 'delete', 'clear']],
    [Set, ['add', 'delete', 'clear']],
  ] as const) {
    if (!(value instanceof type)) continue
    for (const method of methods) {
      Object.defineProperty(value, method, {
        value: () => {
          throw new TypeError(`a captured ${type.name} ${readOnly}`)
        },
      })
    }
  }
  Object.freeze(value)
}

/** Seals arrays and plain objects all through. */
export function sealTree(value: unknown): void {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return
  Object.freeze(value)
  if (Array.isArray(value)) for (const each of value) sealTree(each)
  else for (const key in value) sealTree((value as Record<string, unknown>)[key])
}

/** Whether this is the refusal of a sealed value. */
export function isRefusal(thrown: unknown): boolean {
  return (
    thrown instanceof TypeError &&
    (thrown.message.endsWith(readOnly) ||
      /^Cannot (?:add property .*, object is not extensible|assign to read only property|delete property|define property|redefine property)/.test(
        thrown.message,
      ))
  )
}
