import type { Conv2DBackpropFilterAttrs, TensorInfo } from '@tensorflow/tfjs'
import type { Machine } from './machine.js'
import { Windows } from './windows.js'

/** For each row of the filter, the sum over all windows of their row (columns and channels lie in line) by `dy`. */
export function conv2DBackpropFilter(
  machine: Machine,
  inputs: { x: TensorInfo; dy: TensorInfo },
  { strides, pad, dataFormat, dimRoundingMode, filterShape }: Conv2DBackpropFilterAttrs,
): TensorInfo {
  const { computeConv2DInfo, convertConv2DDataFormat } = machine.tf.backend_util
  const first = convertConv2DDataFormat(dataFormat) === 'channelsFirst'
  // A padding for each side is given in the order of the data's dimensions.
  const padding = first && typeof pad === 'object' ? ([pad[0], pad[2], pad[3], pad[1]] as typeof pad) : pad
  const last = (x: TensorInfo) => (first ? machine.run('Transpose', { x }, { perm: [0, 2, 3, 1] }) : x)
  const [x, dy] = [machine.asFloats(last(inputs.x)), machine.asFloats(last(inputs.dy))]
  const shape = x.shape as [number, number, number, number]
  const info = computeConv2DInfo(shape, filterShape, strides, 1, padding, dimRoundingMode)
  const dW = machine.zeros(filterShape)
  if (x.shape.includes(0) || dy.shape.includes(0)) return dW
  const { filterHeight, filterWidth, inChannels, outHeight, outWidth, outChannels } = info
  const windows = new Windows(machine, info, 1)
  const across = filterWidth * inChannels
  const dyBy = [outHeight * outWidth * outChannels, outWidth * outChannels, outChannels] as const
  const dWAt = machine.at(dW)
  windows.each(x, dy, false, (at, counts) => {
    for (let row = 0; row < filterHeight; row++)
      machine.tiles('outer', [across, outChannels], counts, {
        a: { at: at.windows + row * windows.width * inChannels * 4, row: 1, by: windows.by },
        b: { at: at.dy, by: dyBy },
        c: { at: dWAt + row * across * outChannels * 4, row: outChannels },
      })
  })
  return dW
}
