import type { MaxPoolGradAttrs, TensorInfo } from '@tensorflow/tfjs'
import type { Four } from './channels.js'
import type { Machine } from './machine.js'

/** Each value of `dy` goes to the first of the largest values in its window, as on the other backends. */
export function maxPoolGrad(
  machine: Machine,
  inputs: { dy: TensorInfo; input: TensorInfo },
  { filterSize, strides, pad, dimRoundingMode }: MaxPoolGradAttrs,
): TensorInfo {
  const [dy, x] = [machine.asFloats(inputs.dy), machine.asFloats(inputs.input)]
  const info = machine.tf.backend_util.computePool2DInfo(x.shape as Four, filterSize, strides, 1, pad, dimRoundingMode)
  const dx = machine.zeros(x.shape)
  const { inHeight, inWidth, outHeight, outWidth, inChannels, batchSize, strideHeight, strideWidth } = info
  const { filterHeight, filterWidth, padInfo } = info
  // Views of their own: this loop is the kernel's whole cost, and an index into one view is the cheapest to compute.
  const view = (of: TensorInfo) => {
    const from = machine.at(of) / 4
    return machine.floats().subarray(from, from + machine.tf.util.sizeFromShape([...of.shape]))
  }
  const [from, to, given] = [view(x), view(dx), view(dy)]
  const row = inWidth * inChannels
  let at = 0
  for (let image = 0; image < batchSize; image++)
    for (let y = 0; y < outHeight; y++) {
      const top = y * strideHeight - padInfo.top
      const [high, low] = [Math.max(0, top), Math.min(inHeight, top + filterHeight)]
      for (let column = 0; column < outWidth; column++) {
        const left = column * strideWidth - padInfo.left
        const [first, end] = [Math.max(0, left), Math.min(inWidth, left + filterWidth)]
        const begin = (image * inHeight + high) * row
        for (let channel = 0; channel < inChannels; channel++, at++) {
          let largest = Number.NEGATIVE_INFINITY
          let place = -1
          for (let r = high, line = begin; r < low; r++, line += row)
            for (let c = first, i = line + first * inChannels + channel; c < end; c++, i += inChannels) {
              const value = from[i] as number
              if (value > largest) {
                largest = value
                place = i
              }
            }
          if (place >= 0) to[place] = (to[place] as number) + (given[at] as number)
        }
      }
    }
  return dx
}
