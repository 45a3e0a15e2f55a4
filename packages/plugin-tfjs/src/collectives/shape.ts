/** What a call is, apart from its data: two ranks' calls fit when these are equal. */
export const operations = ['allReduce', 'allGather', 'broadcast', 'reduceScatter', 'barrier'] as const
export const kinds = ['float32', 'float64', 'int32', 'uint8'] as const
export const reductions = ['sum', 'mean', 'max', 'min'] as const

export type Operation = (typeof operations)[number]
export type Kind = (typeof kinds)[number]
export type ReductionName = (typeof reductions)[number]

export interface CallShape {
  readonly operation: Operation
  readonly kind: Kind
  /** Elements of one rank's array. */
  readonly length: number
  readonly reduction: ReductionName
  /** Of a broadcast; else 0. */
  readonly from: number
}

export const elementSize: Readonly<Record<Kind, number>> = { float32: 4, float64: 8, int32: 4, uint8: 1 }

/** Bytes that a call works on: the result of all ranks where it gathers. */
export function workBytes({ operation, kind, length }: CallShape, size: number): number {
  return length * elementSize[kind] * (operation === 'allGather' ? size : 1)
}

export function sameShape(one: CallShape, other: CallShape): boolean {
  return (
    one.operation === other.operation &&
    one.kind === other.kind &&
    one.length === other.length &&
    one.reduction === other.reduction &&
    one.from === other.from
  )
}

/** As errors say it: `allReduce (mean) of float32[1000]`. */
export function describe({ operation, kind, length, reduction, from }: CallShape): string {
  if (operation === 'barrier') return 'barrier'
  const how = operation === 'broadcast' ? ` from rank ${from}` : operation === 'allGather' ? '' : ` (${reduction})`
  return `${operation}${how} of ${kind}[${length}]`
}

/** Bytes before the data of a call on each connection. */
export const HEADER_BYTES = 32
const MAGIC = 0x31634647 // "GFc1"

/** Little-endian: magic u32, operation, kind, reduction, 0 as u8, number of the call f64, from i32, 0 u32, length f64. */
export function writeHeader(view: DataView, at: number, sequence: number, shape: CallShape): void {
  view.setUint32(at, MAGIC, true)
  view.setUint8(at + 4, operations.indexOf(shape.operation))
  view.setUint8(at + 5, kinds.indexOf(shape.kind))
  view.setUint8(at + 6, reductions.indexOf(shape.reduction))
  view.setUint8(at + 7, 0)
  view.setFloat64(at + 8, sequence, true)
  view.setInt32(at + 16, shape.from, true)
  view.setUint32(at + 20, 0, true)
  view.setFloat64(at + 24, shape.length, true)
}

/** Undefined: these bytes are no header. */
export function readHeader(bytes: Uint8Array): { readonly sequence: number; readonly shape: CallShape } | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, HEADER_BYTES)
  const operation = operations[view.getUint8(4)]
  const kind = kinds[view.getUint8(5)]
  const reduction = reductions[view.getUint8(6)]
  if (view.getUint32(0, true) !== MAGIC || !operation || !kind || !reduction) return undefined
  const shape = { operation, kind, reduction, from: view.getInt32(16, true), length: view.getFloat64(24, true) }
  return { sequence: view.getFloat64(8, true), shape }
}
