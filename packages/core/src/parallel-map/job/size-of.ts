import { isMarked } from '../move.js'

/** Bytes that a batch may take; a first item may be larger. */
export const mostBytes = 1 << 20
/** Of buffers that are moved: moving costs nothing, but those of a batch are lost with a worker that dies. */
const moved = mostBytes / 8

/** About how many bytes an item takes on its way; looks one level deep, which is enough to keep batches small. */
export function sizeOf(item: unknown, depth = 2): number {
  if (typeof item === 'string') return item.length
  if (typeof item !== 'object' || item === null) return 8
  if (ArrayBuffer.isView(item)) return bytesOf(item.buffer, item.byteLength)
  if (item instanceof ArrayBuffer) return bytesOf(item, item.byteLength)
  if (depth === 0) return 64
  if (Array.isArray(item)) return item.length * (item.length > 0 ? sizeOf(item[0], depth - 1) : 1)
  let sum = 16
  for (const key in item) sum += sizeOf((item as Record<string, unknown>)[key], depth - 1)
  return sum
}

function bytesOf(buffer: ArrayBufferLike, length: number): number {
  if (buffer instanceof SharedArrayBuffer) return 8
  return isMarked(buffer) ? Math.max(moved, length / 16) : length
}
