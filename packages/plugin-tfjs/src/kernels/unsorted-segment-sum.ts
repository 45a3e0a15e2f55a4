import { GangflowError } from '@gangflow/core'
import type { TensorInfo, UnsortedSegmentSumAttrs } from '@tensorflow/tfjs'
import type { Machine } from './machine.js'

/** Row i of x is added to row `segmentIds[i]`; rows whose id names no segment are left out. */
export function unsortedSegmentSum(
  machine: Machine,
  inputs: { x: TensorInfo; segmentIds: TensorInfo },
  { numSegments }: UnsortedSegmentSumAttrs,
): TensorInfo {
  const x = machine.asFloats(inputs.x)
  const count = inputs.segmentIds.shape[0] ?? 0
  if (inputs.segmentIds.shape.length !== 1 || x.shape[0] !== count)
    throw new GangflowError({
      code: 'E_TF_SEGMENT_IDS',
      what: `unsortedSegmentSum has segment ids of shape [${inputs.segmentIds.shape}] for values of shape [${x.shape}]`,
      fix: 'give one id for each row of the values: segment ids of shape [rows]',
    })
  const rest = x.shape.slice(1)
  const row = machine.tf.util.sizeFromShape(rest)
  const sums = machine.zeros([numSegments, ...rest])
  if (count === 0 || row === 0 || numSegments === 0) return sums
  const ids = whole(machine, inputs.segmentIds, count)
  machine.segments(ids, count, machine.at(x), machine.at(sums), numSegments, row)
  return sums
}

/** The address of the ids as integers; of floats, one that is no whole number names no segment. */
function whole(machine: Machine, ids: TensorInfo, count: number): number {
  if (ids.dtype !== 'float32')
    return machine.at(ids.dtype === 'int32' ? ids : machine.run('Cast', { x: ids }, { dtype: 'int32' }))
  const room = machine.room(count)
  const floats = machine.floats()
  const integers = new Int32Array(floats.buffer, room, count)
  const from = machine.at(ids) / 4
  for (let i = 0; i < count; i++) {
    const id = floats[from + i] as number
    integers[i] = Number.isInteger(id) && Math.abs(id) < 2 ** 31 ? id : -1
  }
  return room
}
