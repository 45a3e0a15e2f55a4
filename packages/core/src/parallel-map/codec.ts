import { shapeOf } from './shape.js'
import { partsOf, type ViewType, viewOf } from './views.js'

/**
 * How a row of values travels: what is alike is packed, because cloning many small values one by one costs most of
 * what a cheap item costs. Packing never changes a value (-0, NaN and key order stay); whether two items of a map share
 * an object is not kept, as it would hang on where a batch ends.
 */
export type Packed =
  | { readonly k: 'none'; readonly n: number }
  | { readonly k: 'numbers'; readonly d: Float64Array }
  | { readonly k: 'vectors'; readonly d: Float64Array; readonly width: number }
  | { readonly k: 'texts'; readonly t: string; readonly lengths: Uint8Array }
  | { readonly k: 'columns'; readonly n: number; readonly keys: readonly string[]; readonly columns: readonly Packed[] }
  | { readonly k: 'views'; readonly v: readonly (View | { readonly whole: unknown })[] }
  | { readonly k: 'values'; readonly v: readonly unknown[] }

/** A view by its parts: as a view over more than 4 GiB it would arrive with a wrong length. */
interface View {
  readonly type: ViewType
  readonly buffer: ArrayBufferLike
  readonly at: number
  readonly length: number
  /** A copy that packing made. */
  readonly own?: boolean
}

const widest = 64
/** A longer part of a text is to V8 no copy but a view, which would keep the whole text alive. */
const longestText = 12
/** Below this, packing costs more than it saves. */
const leastRows = 8
/** Moving a buffer costs what copying about so many bytes does. */
const leastMoved = 8192
const leastCopied = 1 << 16

/**
 * Large buffers are copied once and the copy is moved: cloning copies them twice, into the message and out of it.
 * `keeps` says that a buffer is to travel itself.
 */
type Keeps = (buffer: ArrayBufferLike) => boolean

/** Packs values as `none` (all undefined), numbers, short texts, vectors of one width, records of one shape, or as they are. */
export function pack(values: readonly unknown[], keeps: Keeps = () => false): Packed {
  const first = values[0]
  if (first === undefined) return packNone(values)
  if (values.length >= leastRows && typeof first === 'number') return packNumbers(values) ?? { k: 'values', v: values }
  if (values.length >= leastRows && typeof first === 'string') return packTexts(values) ?? { k: 'values', v: values }
  if (values.length >= leastRows && typeof first === 'object' && first !== null) {
    if (Array.isArray(first)) return packVectors(values, first.length) ?? { k: 'values', v: values }
    if (isRecord(first)) return packRecords(values, Object.keys(first)) ?? { k: 'values', v: values }
  }
  return ArrayBuffer.isView(first) ? packViews(values, keeps) : { k: 'values', v: values }
}

/** The values of a packed row, in order. */
export function unpack(packed: Packed): readonly unknown[] {
  switch (packed.k) {
    case 'none':
      return new Array(packed.n).fill(undefined)
    case 'numbers':
      return numbersOf(packed.d)
    case 'texts':
      return textsOf(packed.t, packed.lengths)
    case 'vectors':
      return vectorsOf(packed.d, packed.width)
    case 'columns':
      return recordsOf(packed.n, packed.keys, packed.columns.map(unpack))
    case 'views':
      return packed.v.map((one) => ('whole' in one ? one.whole : viewOf(one)))
    case 'values':
      return packed.v
  }
}

/** The same to read from by index, without making an array where there is something like one. */
export function readable(packed: Packed): ArrayLike<unknown> {
  return packed.k === 'numbers' ? packed.d : unpack(packed)
}

function packNone(values: readonly unknown[]): Packed {
  for (const value of values) if (value !== undefined) return { k: 'values', v: values }
  return { k: 'none', n: values.length }
}

function packNumbers(values: readonly unknown[]): Packed | undefined {
  const data = new Float64Array(values.length)
  for (let index = 0; index < values.length; index++) {
    const value = values[index]
    if (typeof value !== 'number') return undefined
    data[index] = value
  }
  return { k: 'numbers', d: data }
}

function packTexts(values: readonly unknown[]): Packed | undefined {
  const lengths = new Uint8Array(values.length)
  let t = ''
  for (let index = 0; index < values.length; index++) {
    const value = values[index]
    if (typeof value !== 'string' || value.length > longestText) return undefined
    lengths[index] = value.length
    t += value
  }
  return { k: 'texts', t, lengths }
}

function packVectors(values: readonly unknown[], width: number): Packed | undefined {
  if (width === 0 || width > widest) return undefined
  const data = new Float64Array(values.length * width)
  let at = 0
  for (const value of values) {
    if (!Array.isArray(value) || value.length !== width || Object.getPrototypeOf(value) !== Array.prototype)
      return undefined
    for (let column = 0; column < width; column++) {
      const number = value[column]
      if (typeof number !== 'number') return undefined
      data[at++] = number
    }
  }
  return { k: 'vectors', d: data, width }
}

function packRecords(values: readonly unknown[], keys: readonly string[]): Packed | undefined {
  if (keys.length === 0 || keys.length > widest || keys.includes('__proto__')) return undefined
  const columns = keys.map(() => new Array<unknown>(values.length))
  const { read } = shapeOf(keys)
  for (let row = 0; row < values.length; row++) {
    const value = values[row] as Record<string, unknown>
    if (typeof value !== 'object' || value === null || !isRecord(value)) return undefined
    let column = 0
    for (const key in value) if (key !== keys[column++]) return undefined
    if (column !== keys.length) return undefined
    read(value, row, columns)
  }
  return { k: 'columns', n: values.length, keys, columns: columns.map((column) => pack(column)) }
}

/** Buffers that packing made: they are moved and not copied. */
export function buffersOfPacked(packed: Packed): ArrayBuffer[] {
  if (packed.k === 'numbers' || packed.k === 'vectors')
    return packed.d.byteLength < leastMoved ? [] : [packed.d.buffer as ArrayBuffer]
  if (packed.k === 'views')
    return packed.v.flatMap((one) => ('own' in one && one.own ? [one.buffer as ArrayBuffer] : []))
  return packed.k === 'columns' ? packed.columns.flatMap(buffersOfPacked) : []
}

/** Whether anything in it is cloned as it is, and so may lose what cloning does not keep. */
export function isCloned(packed: Packed): boolean {
  if (packed.k === 'views') return packed.v.some((one) => 'whole' in one && !ArrayBuffer.isView(one.whole))
  return packed.k === 'values' || (packed.k === 'columns' && packed.columns.some(isCloned))
}

/** Cloning a view clones all of its buffer: of a part of one, that part is copied; shared memory is never copied. */
function packViews(values: readonly unknown[], keeps: Keeps): Packed {
  return {
    k: 'views',
    v: values.map((value) => {
      const parts = partsOf(value)
      if (parts === undefined) return { whole: value }
      const view = value as Float64Array
      if (parts.buffer instanceof SharedArrayBuffer || keeps(parts.buffer)) return parts
      const isPart = view.byteLength < view.buffer.byteLength
      if (!isPart && view.byteLength < leastCopied) return parts
      return { type: parts.type, buffer: copyOf(view), at: 0, length: parts.length, own: true }
    }),
  }
}

/** `slice` writes zeros first, which costs as much as the copy; above 1 GiB a Buffer may be too long. */
function copyOf({ buffer, byteOffset, byteLength }: ArrayBufferView): ArrayBufferLike {
  if (byteLength > 2 ** 30) return buffer.slice(byteOffset, byteOffset + byteLength)
  const copy = Buffer.allocUnsafeSlow(byteLength)
  copy.set(new Uint8Array(buffer, byteOffset, byteLength))
  return copy.buffer
}

function isRecord(value: object): boolean {
  return Object.getPrototypeOf(value) === Object.prototype
}

function vectorsOf(data: Float64Array, width: number): number[][] {
  const rows = new Array<number[]>(data.length / width)
  for (let row = 0, at = 0; row < rows.length; row++) {
    const vector = new Array<number>(width)
    for (let column = 0; column < width; column++) vector[column] = data[at++]!
    rows[row] = vector
  }
  return rows
}

function textsOf(all: string, lengths: Uint8Array): string[] {
  const texts = new Array<string>(lengths.length)
  for (let index = 0, at = 0; index < lengths.length; index++) {
    const end = at + lengths[index]!
    texts[index] = all.slice(at, end)
    at = end
  }
  return texts
}

function numbersOf(data: Float64Array): number[] {
  const numbers = new Array<number>(data.length)
  for (let index = 0; index < numbers.length; index++) numbers[index] = data[index]!
  return numbers
}

function recordsOf(
  length: number,
  keys: readonly string[],
  columns: readonly (readonly unknown[])[],
): Record<string, unknown>[] {
  const rows = new Array<Record<string, unknown>>(length)
  const { make } = shapeOf(keys)
  for (let row = 0; row < length; row++) rows[row] = make(row, columns)
  return rows
}
