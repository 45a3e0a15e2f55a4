import type * as V8 from 'node:v8'
import { isPlainTree } from './capture/plain-tree.js'
import { shapeOf } from './shape.js'
import { type ViewType, viewOf } from './views.js'

/**
 * Values in memory that all worker threads see, each to be read by itself: what a message for every one of them would
 * cost many times over. Bytes that belong to a value end where `ends` says.
 */
export type SharedRow =
  | { readonly k: 'view'; readonly type: ViewType; readonly buffer: SharedArrayBuffer; readonly at: number }
  | { readonly k: 'vectors'; readonly d: Float64Array; readonly width: number }
  | {
      readonly k: 'texts'
      readonly bytes: Uint8Array
      readonly ends: Uint32Array
      readonly coding: 'latin1' | 'utf16le'
    }
  | { readonly k: 'columns'; readonly keys: readonly string[]; readonly columns: readonly SharedRow[] }
  /** Plain data of other kinds, as V8 serializes it. */
  | { readonly k: 'trees'; readonly bytes: Uint8Array; readonly ends: Uint32Array }

const widest = 64
const v8 = (): typeof V8 => process.getBuiltinModule('node:v8') as typeof V8

/** Undefined where a value of them is neither a primitive nor plain data all through. */
export function shareRow(values: readonly unknown[]): SharedRow | undefined {
  const [first] = values
  if (typeof first === 'number' && values.every((value) => typeof value === 'number')) return shareNumbers(values)
  if (typeof first === 'string' && values.every((value) => typeof value === 'string')) return shareTexts(values)
  if (!values.every((value) => isSimple(value))) return undefined
  return shareVectors(values) ?? shareColumns(values) ?? shareTrees(values)
}

/** Gives the values from one position up to another. */
export function rowReader(row: SharedRow, length: number): (from: number, to: number) => ArrayLike<unknown> {
  switch (row.k) {
    case 'view': {
      const view = viewOf({ ...row, length }) as Float64Array
      return (from, to) => view.subarray(from, to)
    }
    case 'vectors': {
      const { d, width } = row
      return (from, to) => mapRange(from, to, (at) => Array.from(d.subarray(at * width, (at + 1) * width)))
    }
    case 'texts': {
      const bytes = Buffer.from(row.bytes.buffer)
      const { ends, coding } = row
      return (from, to) => mapRange(from, to, (at) => bytes.toString(coding, ends[at - 1] ?? 0, ends[at]))
    }
    case 'columns': {
      const { make } = shapeOf(row.keys)
      const readers = row.columns.map((column) => rowReader(column, length))
      return (from, to) => {
        const columns = readers.map((read) => read(from, to)) as unknown[][]
        return Array.from({ length: to - from }, (_, at) => make(at, columns))
      }
    }
    case 'trees': {
      const { bytes, ends } = row
      const { deserialize } = v8()
      return (from, to) => mapRange(from, to, (at) => deserialize(bytes.subarray(ends[at - 1] ?? 0, ends[at])))
    }
  }
}

function mapRange(from: number, to: number, read: (at: number) => unknown): unknown[] {
  const values = new Array<unknown>(to - from)
  for (let at = from; at < to; at++) values[at - from] = read(at)
  return values
}

function isSimple(value: unknown): boolean {
  if (typeof value === 'object') return value === null || isPlainTree(value)
  return typeof value !== 'function' && typeof value !== 'symbol'
}

function shareNumbers(values: readonly unknown[]): SharedRow {
  const buffer = new SharedArrayBuffer(values.length * 8)
  new Float64Array(buffer).set(values as number[])
  return { k: 'view', type: 'Float64Array', buffer, at: 0 }
}

function shareTexts(values: readonly unknown[]): SharedRow {
  const texts = values as readonly string[]
  const ends = new Uint32Array(new SharedArrayBuffer(texts.length * 4))
  const coding = texts.every((text) => /^[\0-\xff]*$/.test(text)) ? 'latin1' : 'utf16le'
  const width = coding === 'latin1' ? 1 : 2
  let end = 0
  for (const [at, text] of texts.entries()) ends[at] = end += text.length * width
  const buffer = new SharedArrayBuffer(end)
  const bytes = Buffer.from(buffer)
  for (const [at, text] of texts.entries()) bytes.write(text, ends[at - 1] ?? 0, coding)
  return { k: 'texts', bytes: new Uint8Array(buffer), ends, coding }
}

function shareVectors(values: readonly unknown[]): SharedRow | undefined {
  const width = Array.isArray(values[0]) ? values[0].length : 0
  const rows = values as readonly (readonly unknown[])[]
  const isEven = (row: unknown): boolean =>
    Array.isArray(row) && row.length === width && row.every((value) => typeof value === 'number')
  if (width === 0 || width > widest || !rows.every(isEven)) return undefined
  // `every` passes over holes, which are no numbers.
  if (rows.some((row) => Object.keys(row).length !== width)) return undefined
  const d = new Float64Array(new SharedArrayBuffer(rows.length * width * 8))
  for (const [at, row] of rows.entries()) d.set(row as number[], at * width)
  return { k: 'vectors', d, width }
}

function shareColumns(values: readonly unknown[]): SharedRow | undefined {
  const [first] = values
  if (typeof first !== 'object' || first === null || Array.isArray(first)) return undefined
  const keys = Object.keys(first)
  if (keys.length === 0 || keys.length > widest || keys.includes('__proto__')) return undefined
  const isAlike = (value: unknown): boolean => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
    const own = Object.keys(value)
    return own.length === keys.length && own.every((key, at) => key === keys[at])
  }
  if (!values.every(isAlike)) return undefined
  const columns = keys.map((key) => shareRow(values.map((value) => (value as Record<string, unknown>)[key])))
  // One object in two places of an item stays one: only where the item is serialized as a whole.
  if (columns.some((column) => column?.k !== 'view' && column?.k !== 'texts')) return undefined
  return { k: 'columns', keys, columns: columns as SharedRow[] }
}

function shareTrees(values: readonly unknown[]): SharedRow {
  const { serialize } = v8()
  const parts = values.map((value) => serialize(value))
  const ends = new Uint32Array(new SharedArrayBuffer(parts.length * 4))
  let end = 0
  for (const [at, part] of parts.entries()) ends[at] = end += part.length
  const bytes = new Uint8Array(new SharedArrayBuffer(end))
  for (const [at, part] of parts.entries()) bytes.set(part, ends[at - 1] ?? 0)
  return { k: 'trees', bytes, ends }
}
