import { isProxy } from 'node:util/types'
import type { Node } from '../protocol.js'

type Made = Extract<Node, { readonly k: 'made' }>

interface Resolved {
  resolvedOptions(): Record<string, unknown> & { readonly locale: string }
}

/**
 * An object of the language or of Node that is all in what it was made from: a URL, an encoder or a decoder of text, a
 * format of Intl. Undefined for what is none, and where what it was made from does not show.
 */
export function madeAnew(value: object): Made | undefined {
  if (isProxy(value)) return undefined
  try {
    return fromParts(value)
  } catch {
    // It has the type's name and not its inside.
    return undefined
  }
}

function fromParts(value: object): Made | undefined {
  const type = Object.getPrototypeOf(value)?.constructor as unknown
  if (type === URL) return made(['URL'], String(value))
  if (type === URLSearchParams) return made(['URLSearchParams'], String(value))
  if (type === TextEncoder) return made(['TextEncoder'])
  if (type === TextDecoder) {
    const { encoding, fatal, ignoreBOM } = value as InstanceType<typeof TextDecoder>
    return made(['TextDecoder'], encoding, { fatal, ignoreBOM })
  }
  if (type === Intl.Locale) return made(['Intl', 'Locale'], String(value))
  const name = Object.getOwnPropertyNames(Intl).find(
    (one) => (Intl as unknown as Record<string, unknown>)[one] === type,
  )
  return name === undefined ? undefined : formatFrom(name, type as new (...args: unknown[]) => Resolved, value)
}

/** What a format says of itself makes its like; where not (a later Node's option), it is not sent. */
function formatFrom(name: string, type: new (...args: unknown[]) => Resolved, value: object): Made | undefined {
  const options = (value as Resolved).resolvedOptions()
  const like = new type(options.locale, options).resolvedOptions()
  return JSON.stringify(like) === JSON.stringify(options) ? made(['Intl', name], options.locale, options) : undefined
}

function made(path: readonly string[], ...given: readonly unknown[]): Made {
  return { k: 'made', path, given }
}
