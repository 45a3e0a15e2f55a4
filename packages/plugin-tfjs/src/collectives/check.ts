import { GangflowError } from '@gangflow/core'
import type { BufferKind, Values } from './contract.js'
import { type CallShape, describe, kinds, type Operation, reductions, workBytes } from './shape.js'

/** A call works on fewer bytes. */
export const MOST_BYTES = 2 ** 31

const wrong = (what: string, fix: string) => new GangflowError({ code: 'E_TF_VALUES', what, fix })

export function kindOf(values: unknown, operation: string): BufferKind {
  const tag = ArrayBuffer.isView(values) ? (values as unknown as Record<symbol, string>)[Symbol.toStringTag] : undefined
  const kind = kinds.find((one) => tag?.toLowerCase() === `${one}array`)
  if (kind) return kind
  const given = tag ?? (values === null ? 'null' : Array.isArray(values) ? 'an array' : typeof values)
  throw wrong(
    `${operation} was given ${given}`,
    'give a Float32Array, Float64Array or Int32Array (to gather or broadcast a Uint8Array too), or use tensorCollectives() for tensors',
  )
}

/** What a call is; refuses what no rank could perform. */
export function shapeOf(
  operation: Operation,
  values: Values | undefined,
  size: number,
  given: { readonly reduction?: unknown; readonly from?: unknown },
): CallShape {
  const kind = values === undefined ? 'uint8' : kindOf(values, operation)
  const reduces = operation === 'allReduce' || operation === 'reduceScatter'
  if (reduces && kind === 'uint8')
    throw wrong(`${operation} was given a Uint8Array`, 'reduce a Float32Array, Float64Array or Int32Array')
  const reduction = reductions.find((one) => one === (given.reduction ?? 'sum'))
  if (!reduction) throw wrong(`'${given.reduction}' is no reduction`, `use one of ${reductions.join(', ')}`)
  const from = given.from ?? 0
  if (typeof from !== 'number' || !Number.isInteger(from) || from < 0 || from >= size)
    throw wrong(`${operation} was told rank ${from} of ${size}`, `give \`from\` a rank from 0 to ${size - 1}`)
  const shape: CallShape = {
    operation,
    kind,
    length: values?.length ?? 0,
    reduction: reduces ? reduction : 'sum',
    from,
  }
  const bytes = workBytes(shape, size)
  if (bytes >= MOST_BYTES)
    throw wrong(`${describe(shape)} works on ${bytes} bytes`, 'a call works on less than 2 GiB: split the array')
  return shape
}

/** Whether `into` can take a result. */
export function checkInto(into: Values, kind: BufferKind, length: number, operation: string): void {
  const is = kindOf(into, `the \`into\` of ${operation}`)
  if (is === kind && into.length === length) return
  throw wrong(
    `the result of ${operation} is ${kind}[${length}], and \`into\` is ${is}[${into.length}]`,
    'give an array of the same kind and of the length of the result',
  )
}
