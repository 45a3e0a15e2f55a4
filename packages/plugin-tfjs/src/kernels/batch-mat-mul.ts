import type { BatchMatMulAttrs, TensorInfo } from '@tensorflow/tfjs'
import type { Machine } from './machine.js'

/** Rows of `b` that stay in a core's own cache while the tiles go over them. */
const depth = 256

/** Columns of a product from which on XNNPACK's, for which both sides must be turned, is faster than the tiles. */
const wide = 32

/** The product of each pair of matrices; leading dimensions are broadcast as NumPy does. */
export function batchMatMul(
  machine: Machine,
  { a, b }: { a: TensorInfo; b: TensorInfo },
  { transposeA, transposeB }: BatchMatMulAttrs,
  stock: (inputs: { a: TensorInfo; b: TensorInfo }) => TensorInfo,
): TensorInfo {
  const { util, broadcast_util } = machine.tf
  if (a.dtype !== 'float32' || b.dtype !== 'float32')
    throw new Error('BatchMatMul for non non-float32 tensors not yet supported.')
  const [aRows = 0, aColumns = 0] = a.shape.slice(-2)
  const [bRows = 0, bColumns = 0] = b.shape.slice(-2)
  const [rows, inner] = transposeA ? [aColumns, aRows] : [aRows, aColumns]
  const [columns, bInner] = transposeB ? [bRows, bColumns] : [bColumns, bRows]
  util.assert(
    inner === bInner,
    () =>
      `Error in matMul: inner shapes (${inner}) and (${bInner}) of Tensors with shapes ${a.shape} and ${b.shape} and transposeA=${transposeA} and transposeB=${transposeB} must match.`,
  )
  const [aOuter, bOuter] = [a.shape.slice(0, -2), b.shape.slice(0, -2)]
  const outer = broadcast_util.assertAndGetBroadcastShape(aOuter, bOuter)
  const single = util.sizeFromShape(outer) === 1 && rows * inner * columns > 0
  if (single && (!transposeA || columns >= wide))
    return stock({ a: transposeA ? turned(machine, a) : a, b: transposeB ? turned(machine, b) : b })
  const product = machine.zeros([...outer, rows, columns])
  const straight = transposeB ? turned(machine, b) : b
  const [aAt, bAt, at] = [machine.at(a), machine.at(straight), machine.at(product)]
  const [aPlaces, bPlaces] = [places(aOuter, outer), places(bOuter, outer)]
  const [aRow, aStep] = transposeA ? [1, rows] : [inner, 1]
  for (const [index, place] of aPlaces.entries())
    for (let from = 0; from < inner; from += depth)
      machine.tiles('outer', [rows, columns], [1, 1, Math.min(depth, inner - from)], {
        a: { at: aAt + (place * rows * inner + from * aStep) * 4, row: aRow, by: [0, 0, aStep] },
        b: { at: bAt + ((bPlaces[index] ?? 0) * inner + from) * columns * 4, by: [0, 0, columns] },
        c: { at: at + index * rows * columns * 4, row: columns },
      })
  return product
}

/** Each of the matrices turned, until the kernel's end. */
function turned(machine: Machine, x: TensorInfo): TensorInfo {
  const [rows = 0, columns = 0] = x.shape.slice(-2)
  const outer = x.shape.slice(0, -2)
  const made = machine.temporary([...outer, columns, rows])
  const size = rows * columns
  for (let i = 0; i < machine.tf.util.sizeFromShape(outer); i++)
    machine.turn(machine.at(x) + i * size * 4, rows, columns, machine.at(made) + i * size * 4)
  return made
}

/** For each matrix of the broadcast shape, which matrix of this one it is. */
function places(own: readonly number[], all: readonly number[]): number[] {
  let found = [0]
  for (const [dim, count] of all.entries()) {
    const size = own[dim - all.length + own.length] ?? 1
    found = found.flatMap((place) => Array.from({ length: count }, (_, i) => place * size + (size === 1 ? 0 : i)))
  }
  return found
}
