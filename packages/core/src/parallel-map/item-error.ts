import { inspect } from 'node:util'
import { GangflowError } from '../errors/base.js'
import { ownFrames } from './frames.js'
import type { WireError } from './protocol.js'

export interface ItemFacts {
  readonly code: string
  readonly what: string
  readonly fix?: string | undefined
  readonly index: number
  readonly item: unknown
}

/** Why an item has no result: its index, the item as text, and as `cause` what its function threw, with its stack. */
export class ItemError extends GangflowError {
  /** Of the item, counted from 0 in the order of the input. */
  readonly index: number
  /** The item, shortened to a line. */
  readonly item: string

  constructor({ code, what, fix, index, item }: ItemFacts, { cause }: { cause?: unknown } = {}) {
    const text = shorten(item)
    super(
      { code, what: `item ${index} (${text}) ${what}`, fix, details: { index, item: text } },
      cause === undefined ? {} : { cause },
    )
    this.name = 'ItemError'
    this.index = index
    this.item = text
  }

  /** @internal Its stack becomes the person's: where the function failed in the worker, and who began the map. */
  calledFrom(callers: string): void {
    const { cause } = this
    const remote = cause instanceof Error ? (cause.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line)) : []
    const stack = [`${this.name}: ${this.message}`, ...remote, callers].filter((line) => line !== '').join('\n')
    Object.defineProperty(this, 'stack', { value: stack, configurable: true, writable: true })
  }
}

/** A value as one line of at most 80 signs; large data is not walked. Never throws, whatever the value does when it is read. */
export function shorten(value: unknown): string {
  const line = textOf(value).replace(/\s*\n\s*/g, ' ')
  return line.length > 80 ? `${line.slice(0, 77)}...` : line
}

function textOf(value: unknown): string {
  const shown = { depth: 1, maxArrayLength: 4, maxStringLength: 60, breakLength: Number.POSITIVE_INFINITY }
  try {
    return inspect(value, shown)
  } catch {
    // Its own way to be shown fails (a Proxy of a URL); without that it is shown, or it is nothing that can be.
    try {
      return inspect(value, { ...shown, customInspect: false })
    } catch {
      return 'a value that cannot be shown'
    }
  }
}

/** What a worker said of an item, as an error. `writes` are the captured names that the function's text writes to. */
export function itemErrorOf(wire: WireError, index: number, item: unknown, writes: readonly string[]): ItemError {
  const cause = fromWire(wire)
  if (wire.kind === 'readonly') {
    const names = writes.map((name) => `\`${name}\``).join(' or ')
    return new ItemError(
      {
        code: 'E_MAP_READONLY',
        what: `wrote to ${names === '' ? 'something captured' : names}, of which each worker has its own copy: ${wire.message}`,
        fix: 'return what is to come out of the function; what a worker keeps for itself belongs into `init`, what all write into shared.*',
        index,
        item,
      },
      { cause },
    )
  }
  if (wire.kind === 'result') {
    return new ItemError(
      {
        code: 'E_MAP_RESULT',
        what: `gave something that cannot be sent back: ${wire.message}`,
        fix: 'return plain data: numbers, text, arrays, objects, Map, Set, typed arrays',
        index,
        item,
      },
      { cause },
    )
  }
  const told = wire.isError ? `${wire.name}: ${wire.message}` : shorten(cause)
  return new ItemError({ code: 'E_MAP_ITEM', what: `failed: ${told}`, index, item }, { cause })
}

const kinds = { Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError } as const

/** What was thrown in a worker: an error of the same kind, with the stack of the person's own frames. */
export function fromWire(wire: WireError): unknown {
  if (!wire.isError) return wire.value === undefined ? wire.message : wire.value
  const type = (kinds as Record<string, typeof Error | undefined>)[wire.name] ?? Error
  const cause = wire.cause && { cause: fromWire(wire.cause) }
  const error = wire.errors
    ? new AggregateError(wire.errors.map(fromWire), wire.message, cause)
    : new type(wire.message, cause)
  if (error.name !== wire.name)
    Object.defineProperty(error, 'name', { value: wire.name, configurable: true, writable: true })
  Object.assign(error, wire.props)
  Object.defineProperty(error, 'stack', { value: ownFrames(wire.stack), configurable: true, writable: true })
  return error
}
