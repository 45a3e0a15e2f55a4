import type { Conv2DBackpropFilterAttrs, TensorInfo } from '@tensorflow/tfjs'
import { type Four, lastChannels } from './channels.js'
import type { Machine } from './machine.js'
import { Windows } from './windows.js'

/** For each row of the filter, the sum over all windows of their row (columns and channels lie in line) by `dy`. */
export function conv2DBackpropFilter(
  machine: Machine,
  inputs: { x: TensorInfo; dy: TensorInfo },
  attrs: Conv2DBackpropFilterAttrs,
): TensorInfo {
  const { strides, dimRoundingMode, filterShape } = attrs
  const { last, pad } = lastChannels(machine, attrs)
  const [x, dy] = [machine.asFloats(last(inputs.x)), machine.asFloats(last(inputs.dy))]
  const { computeConv2DInfo } = machine.tf.backend_util
  const info = computeConv2DInfo(x.shape as Four, filterShape, strides, 1, pad, dimRoundingMode)
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
