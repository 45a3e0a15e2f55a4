import { isMarked } from '../move.js'

/** Bytes that a batch may take; a first item may be larger. */
export const mostBytes = 1 << 20
/** Of buffers that are moved: moving costs nothing, but those of a batch are lost with a worker that dies. */
const moved = mostBytes / 8

/** Of what is not looked into. */
const unknown = 64

/** About how many bytes an item takes on its way; looks one level deep, which is enough to keep batches small. */
export function sizeOf(item: unknown): number {
  try {
    return measure(item, 2)
  } catch {
    // A getter of its own may throw, or what a Proxy stands for; cloning it says so, for that item alone.
    return unknown
  }
}

function measure(item: unknown, depth: number): number {
  if (typeof item === 'string') return item.length
  if (typeof item !== 'object' || item === null) return 8
  if (ArrayBuffer.isView(item)) return bytesOf(item.buffer, item.byteLength)
  if (item instanceof ArrayBuffer) return bytesOf(item, item.byteLength)
  if (depth === 0) return unknown
  if (Array.isArray(item)) return item.length * (item.length > 0 ? measure(item[0], depth - 1) : 1)
  let sum = 16
  for (const key in item) sum += measure((item as Record<string, unknown>)[key], depth - 1)
  return sum
}

function bytesOf(buffer: ArrayBufferLike, length: number): number {
  if (buffer instanceof SharedArrayBuffer) return 8
  return isMarked(buffer) ? Math.max(moved, length / 16) : length
}
