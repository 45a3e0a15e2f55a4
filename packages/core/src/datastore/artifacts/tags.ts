import { endianness } from 'node:os'

/**
 * The CBOR tags that artifacts use. Registered ones wherever there is one, so that other languages read them:
 * 1 date, 2/3 bignum, 28/29 value sharing, 27 named object, 32 URI, 64-87 typed arrays (RFC 8746), 258 set,
 * 259 map with keys of any type, 273 text that is not well-formed UTF-16 (WTF-8). A plain byte string is a Buffer.
 */
export const TAG = {
  date: 1,
  bignum: 2,
  negativeBignum: 3,
  object: 27,
  shareable: 28,
  shared: 29,
  uri: 32,
  set: 258,
  map: 259,
  wtf8: 273,
} as const

type TypedArrayConstructor = {
  readonly name: string
  readonly BYTES_PER_ELEMENT: number
  new (buffer: ArrayBuffer): ArrayBufferView
}

/** Name, tag of the big-endian form, tag of the little-endian form, bytes an element. */
const rows = [
  ['Uint8Array', 64, 64, 1],
  ['Uint16Array', 65, 69, 2],
  ['Uint32Array', 66, 70, 4],
  ['BigUint64Array', 67, 71, 8],
  ['Uint8ClampedArray', 68, 68, 1],
  ['Int8Array', 72, 72, 1],
  ['Int16Array', 73, 77, 2],
  ['Int32Array', 74, 78, 4],
  ['BigInt64Array', 75, 79, 8],
  ['Float16Array', 80, 84, 2],
  ['Float32Array', 81, 85, 4],
  ['Float64Array', 82, 86, 8],
] as const

const little = endianness() === 'LE'

/** The tag under which this machine writes a typed array, by the array's name. */
export const typedArrayTags: ReadonlyMap<string, number> = new Map(
  rows.map(([name, big, small]) => [name, little ? small : big]),
)

export interface TypedArrayForm {
  readonly name: string
  readonly bytes: number
  /** True when its bytes have to be turned round on this machine. */
  readonly swap: boolean
}

export const typedArrayForms: ReadonlyMap<number, TypedArrayForm> = new Map(
  rows.flatMap(([name, big, small, bytes]): [number, TypedArrayForm][] => [
    [big, { name, bytes, swap: big !== small && little }],
    [small, { name, bytes, swap: big !== small && !little }],
  ]),
)

/** Float16Array is absent before Node 24. */
export const typedArrayConstructor = (name: string): TypedArrayConstructor | undefined =>
  (globalThis as unknown as Record<string, TypedArrayConstructor | undefined>)[name]

/** The names under tag 27 that are core's own. */
export const NAME = {
  /** `[length, { index: value }, { key: value }]`: an array with holes or further properties. */
  array: 'gangflow.array',
  /** `[{ key: value }]`: an object without prototype. */
  bare: 'gangflow.bare',
  /** `[codec, bytes]`: a nested value that a plugin's codec saved. */
  codec: 'gangflow.codec',
  regexp: 'RegExp',
  error: 'Error',
  gangflowError: 'GangflowError',
  date: 'Date',
  arrayBuffer: 'ArrayBuffer',
  dataView: 'DataView',
} as const
