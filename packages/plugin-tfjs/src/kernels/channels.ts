import type { Conv2DBackpropFilterAttrs, TensorInfo } from '@tensorflow/tfjs'
import type { Machine } from './machine.js'

export type Four = [number, number, number, number]

type Attrs = Pick<Conv2DBackpropFilterAttrs, 'dataFormat' | 'pad'>

/** Images with their channels first are turned for the kernel, and what it gives is turned back. */
export function lastChannels(machine: Machine, { dataFormat, pad }: Attrs) {
  const first = machine.tf.backend_util.convertConv2DDataFormat(dataFormat) === 'channelsFirst'
  const turn = (x: TensorInfo, perm: number[]) => (first ? machine.run('Transpose', { x }, { perm }) : x)
  return {
    first,
    last: (x: TensorInfo) => turn(x, [0, 2, 3, 1]),
    back: (x: TensorInfo) => (first ? machine.keep(turn(x, [0, 3, 1, 2]), x) : x),
    // A padding for each side is given in the order of the data's dimensions.
    pad: first && typeof pad === 'object' ? ([pad[0], pad[2], pad[3], pad[1]] as typeof pad) : pad,
  }
}
