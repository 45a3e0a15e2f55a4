import { inspect } from 'node:util'

/** A value as people would write it, in one line and short enough for a message. */
export function show(value: unknown): string {
  if (typeof value === 'function') return `the function ${value.name || '(unnamed)'}`
  const text = inspect(value, {
    depth: 1,
    breakLength: Number.POSITIVE_INFINITY,
    maxArrayLength: 10,
    maxStringLength: 200,
  })
  return text.length > 300 ? `${text.slice(0, 297)}...` : text
}
