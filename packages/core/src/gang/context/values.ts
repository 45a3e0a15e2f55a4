import { GangflowError } from '../../errors/base.js'
import { typedArrays } from '../../errors/typed-arrays.js'
import type { Json } from '../../flow/values.js'

/**
 * Values of collectives on the wire: JSON, with bytes and typed arrays beside it uncopied. In the JSON an array
 * `['$', kind, …]` stands for what JSON cannot say; an array that itself begins with `'$'` is written `['$', 'array', …]`.
 */
export interface Packed {
  readonly head: Json
  readonly bytes: Uint8Array
}

/** Packs a value; `E_GANG_VALUE` names the place of what is neither JSON nor bytes. */
export function pack(value: unknown, what: string): Packed {
  const pieces: Uint8Array[] = []
  let offset = 0
  const seen = new Set<object>()
  const put = (kind: string, view: ArrayBufferView | ArrayBuffer): Json => {
    const bytes = ArrayBuffer.isView(view)
      ? new Uint8Array(view.buffer, view.byteOffset, view.byteLength)
      : new Uint8Array(view)
    pieces.push(bytes)
    const at = offset
    offset += bytes.length
    return ['$', kind, at, bytes.length]
  }
  const walk = (item: unknown, path: string): Json => {
    if (item === null || typeof item === 'string' || typeof item === 'boolean') return item
    if (item === undefined) return ['$', 'undefined']
    if (typeof item === 'number') {
      return Number.isFinite(item) && !Object.is(item, -0)
        ? item
        : ['$', 'number', Object.is(item, -0) ? '-0' : String(item)]
    }
    if (typeof item === 'bigint') return ['$', 'bigint', String(item)]
    if (typeof item !== 'object') throw refuse(what, path, `a ${typeof item}`)
    if (Buffer.isBuffer(item)) return put('Buffer', item)
    if (item instanceof ArrayBuffer) return put('ArrayBuffer', item)
    if (ArrayBuffer.isView(item)) {
      const kind = item.constructor.name
      if (kind in typedArrays) return put(kind, item)
      throw refuse(what, path, `a ${kind}`)
    }
    if (item instanceof Date) return ['$', 'Date', item.getTime()]
    if (seen.has(item)) throw refuse(what, path, 'a reference to an object that contains it')
    seen.add(item)
    try {
      if (Array.isArray(item)) {
        const list = item.map((entry, index) => walk(entry, `${path}[${index}]`))
        return list[0] === '$' ? ['$', 'array', ...list] : list
      }
      const prototype: unknown = Object.getPrototypeOf(item)
      if (prototype !== null && prototype !== Object.prototype && Object.getPrototypeOf(prototype) !== null)
        throw refuse(what, path, `an instance of ${item.constructor?.name ?? 'a class'}`)
      const out: Record<string, Json> = {}
      for (const [key, entry] of Object.entries(item)) {
        if (entry !== undefined) define(out, key, walk(entry, `${path}.${key}`))
      }
      return out
    } finally {
      seen.delete(item)
    }
  }
  const head = walk(value, 'value')
  return { head, bytes: pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces) }
}

/** The value again; typed arrays are copies of their own. */
export function unpack({ head, bytes }: Packed): unknown {
  const read = (item: Json): unknown => {
    if (item === null || typeof item !== 'object') return item
    if (Array.isArray(item)) {
      if (item[0] !== '$') return item.map(read)
      const [, kind, a, b] = item as [string, string, number, number]
      if (kind === 'array') return item.slice(2).map(read)
      if (kind === 'undefined') return undefined
      if (kind === 'number') return Number(a)
      if (kind === 'bigint') return BigInt(a)
      if (kind === 'Date') return new Date(a)
      const copy = new Uint8Array(bytes.subarray(a, a + b))
      if (kind === 'Buffer') return Buffer.from(copy.buffer)
      if (kind === 'ArrayBuffer') return copy.buffer
      return new typedArrays[kind as keyof typeof typedArrays](copy.buffer)
    }
    const out: Record<string, unknown> = {}
    for (const [key, entry] of Object.entries(item)) define(out, key, read(entry as Json))
    return out
  }
  return read(head)
}

/** Own properties only, also one called `__proto__`. */
function define(target: object, key: string, value: unknown): void {
  Object.defineProperty(target, key, { value, enumerable: true, writable: true, configurable: true })
}

const refuse = (what: string, path: string, found: string): GangflowError =>
  new GangflowError({
    code: 'E_GANG_VALUE',
    what: `${what} cannot send ${path}: it is ${found}`,
    fix: 'send JSON, bytes or typed arrays; for anything else write an artifact or a file',
  })
