import { typedArrays } from '../errors/typed-arrays.js'

/** Views over a buffer, by name. */
export const viewTypes = { ...typedArrays, DataView }
export type ViewType = keyof typeof viewTypes
type AnyView = InstanceType<(typeof viewTypes)[ViewType]>

/** A view's parts; `length` counts elements (bytes of a DataView). Undefined for what is no plain view. */
export function partsOf(
  value: unknown,
): { type: ViewType; buffer: ArrayBufferLike; at: number; length: number } | undefined {
  if (!ArrayBuffer.isView(value)) return undefined
  // A Buffer arrives as what cloning makes of it: a Uint8Array.
  const type = Buffer.isBuffer(value) ? 'Uint8Array' : (value.constructor.name as ViewType)
  if (!(type in viewTypes)) return undefined
  const length = value instanceof DataView ? value.byteLength : (value as Uint8Array).length
  return { type, buffer: value.buffer, at: value.byteOffset, length }
}

/** The view that has these parts. */
export function viewOf(parts: { type: string; buffer: unknown; at: number; length: number }): AnyView {
  const { buffer, at, length } = parts as { buffer: ArrayBuffer; at: number; length: number }
  if (parts.type === 'Buffer') return Buffer.from(buffer, at, length)
  const type = viewTypes[parts.type as ViewType] as new (buffer: ArrayBuffer, at: number, length: number) => AnyView
  return new type(buffer, at, length)
}
