import type { Conv2DBackpropInputAttrs, TensorInfo } from '@tensorflow/tfjs'
import { type Four, lastChannels } from './channels.js'
import type { Machine } from './machine.js'
import { Windows } from './windows.js'

/** Each row of windows gets `dy` by the filter's row, added up where windows overlap. */
export function conv2DBackpropInput(
  machine: Machine,
  inputs: { dy: TensorInfo; filter: TensorInfo },
  attrs: Conv2DBackpropInputAttrs,
): TensorInfo {
  const { first, last, pad, back } = lastChannels(machine, attrs)
  const [dy, filter] = [machine.asFloats(last(inputs.dy)), machine.asFloats(inputs.filter)]
  const [n, ...others] = attrs.inputShape
  const shape = (first ? [n, others[1], others[2], others[0]] : attrs.inputShape) as Four
  const { computeConv2DInfo } = machine.tf.backend_util
  const info = computeConv2DInfo(shape, filter.shape as Four, attrs.strides, 1, pad, attrs.dimRoundingMode)
  const dx = machine.zeros(shape)
  if (dy.shape.includes(0) || dx.shape.includes(0)) return back(dx)
  const { filterHeight, filterWidth, inChannels, outWidth, outChannels } = info
  const windows = new Windows(machine, info, 1)
  const across = filterWidth * inChannels
  const size = across * outChannels
  const turned = machine.room(filterHeight * size)
  for (let row = 0; row < filterHeight; row++)
    machine.turn(machine.at(filter) + row * size * 4, across, outChannels, turned + row * size * 4)
  const [byImage, byRow, byColumn] = windows.by
  windows.each(dx, dy, true, (at, [images, rows]) => {
    for (let image = 0; image < images; image++)
      for (let y = 0; y < rows; y++)
        for (let row = 0; row < filterHeight; row++)
          machine.tiles('outer', [outWidth, across], [1, 1, outChannels], {
            a: {
              at: at.dy + (image * info.outHeight + y) * outWidth * outChannels * 4,
              row: outChannels,
              by: [0, 0, 1],
            },
            b: { at: turned + row * size * 4, by: [0, 0, across] },
            c: { at: at.windows + (image * byImage + y * byRow + row * windows.width * inChannels) * 4, row: byColumn },
          })
  })
  return back(dx)
}
