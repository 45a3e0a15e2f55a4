import type { DepthwiseConv2dNativeBackpropFilterAttrs, TensorInfo } from '@tensorflow/tfjs'
import type { Four } from './channels.js'
import type { Machine } from './machine.js'
import type { Kind } from './tiles.js'
import { Windows } from './windows.js'

type Attrs = Omit<DepthwiseConv2dNativeBackpropFilterAttrs, 'filterShape'>

/** For each place of the filter, the sum over all windows of what lies there by `dy`, channel by channel. */
export function depthwiseBackpropFilter(
  machine: Machine,
  inputs: { x: TensorInfo; dy: TensorInfo },
  { filterShape, ...attrs }: DepthwiseConv2dNativeBackpropFilterAttrs,
): TensorInfo {
  const [x, dy] = [machine.asFloats(inputs.x), machine.asFloats(inputs.dy)]
  const dW = machine.zeros(filterShape)
  over(machine, 'each', { x, dy, filter: dW }, attrs)
  return dW
}

/** What each window's place gives back: the filter by `dy`, added up where windows overlap. */
export function depthwiseBackpropInput(
  machine: Machine,
  inputs: { dy: TensorInfo; filter: TensorInfo },
  { inputShape, ...attrs }: Attrs & { inputShape: Four },
): TensorInfo {
  const [dy, filter] = [machine.asFloats(inputs.dy), machine.asFloats(inputs.filter)]
  const dx = machine.zeros(inputShape)
  over(machine, 'spread', { x: dx, dy, filter }, attrs)
  return dx
}

function over(
  machine: Machine,
  kind: Kind,
  { x, dy, filter }: Record<'x' | 'dy' | 'filter', TensorInfo>,
  { strides, dilations, pad, dimRoundingMode }: Attrs,
): void {
  if ([x, dy, filter].some(({ shape }) => shape.includes(0))) return
  const { computeConv2DInfo } = machine.tf.backend_util
  const [shape, size] = [x.shape as Four, filter.shape as Four]
  const info = computeConv2DInfo(shape, size, strides, dilations ?? 1, pad, dimRoundingMode, true)
  const { filterHeight, filterWidth, dilationHeight, dilationWidth, outHeight, outWidth } = info
  const windows = new Windows(machine, info, size[3])
  const { channels } = windows
  const [filterAt, by] = [machine.at(filter), windows.by]
  windows.each(x, dy, kind === 'spread', (at, counts) => {
    for (let row = 0; row < filterHeight; row++)
      machine.tiles(kind, [filterWidth, channels], counts, {
        a: { at: at.windows + row * dilationHeight * windows.width * channels * 4, row: dilationWidth * channels, by },
        b: { at: at.dy, by: [outHeight * outWidth * channels, outWidth * channels, channels] },
        c: { at: filterAt + row * filterWidth * channels * 4, row: channels },
      })
  })
}
