/** About how many bytes an item takes on its way; looks one level deep, which is enough to keep batches small. */
export function sizeOf(item: unknown, depth = 2): number {
  if (typeof item === 'string') return item.length
  if (typeof item !== 'object' || item === null) return 8
  if (ArrayBuffer.isView(item)) return item.buffer instanceof SharedArrayBuffer ? 8 : item.byteLength
  if (item instanceof ArrayBuffer) return item.byteLength
  if (depth === 0) return 64
  if (Array.isArray(item)) return item.length * (item.length > 0 ? sizeOf(item[0], depth - 1) : 1)
  let sum = 16
  for (const key in item) sum += sizeOf((item as Record<string, unknown>)[key], depth - 1)
  return sum
}
