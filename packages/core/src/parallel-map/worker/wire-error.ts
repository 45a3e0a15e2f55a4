import type { WireError } from '../protocol.js'

const deepest = 5

/** Anything thrown, as data that can always be sent. */
export function toWire(thrown: unknown, kind: WireError['kind'] = 'thrown', depth = 0): WireError {
  if (!(thrown instanceof Error)) {
    const value = cloneable(thrown) ? thrown : undefined
    return { kind, isError: false, name: '', message: textOf(thrown), stack: '', props: {}, value }
  }
  const props: Record<string, unknown> = {}
  for (const key of Object.keys(thrown)) {
    const value = (thrown as unknown as Record<string, unknown>)[key]
    if (key !== 'stack' && key !== 'message' && key !== 'cause' && cloneable(value)) props[key] = value
  }
  const cause = thrown.cause
  return {
    kind,
    isError: true,
    name: String(thrown.name),
    message: String(thrown.message),
    stack: String(thrown.stack ?? ''),
    props,
    ...(thrown instanceof AggregateError && depth < deepest
      ? { errors: thrown.errors.map((each) => toWire(each, 'thrown', depth + 1)) }
      : {}),
    ...(cause === undefined || depth >= deepest ? {} : { cause: toWire(cause, 'thrown', depth + 1) }),
  }
}

function cloneable(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return typeof value !== 'function' && typeof value !== 'symbol'
  try {
    structuredClone(value)
    return true
  } catch {
    return false
  }
}

function textOf(thrown: unknown): string {
  try {
    return String(thrown)
  } catch {
    return 'something without a text'
  }
}
