import type { TensorInfo } from '@tensorflow/tfjs'
import type { Tf } from '../backends/tf.js'
import type { Machine } from './machine.js'

type ConvInfo = ReturnType<Tf['backend_util']['computeConv2DInfo']>

/** Floats of both operands that should fit a core's own cache while the tiles go over them. */
const near = 32_768

/** A piece of the output: `rows` rows from `row` on, of `images` images. */
interface Part {
  row: number
  rows: number
}

/**
 * The images as a convolution's windows see them: with room for the padding, and each channel as often as the
 * multiplier says. Where neither is needed the images themselves serve.
 */
export class Windows {
  readonly height: number
  readonly width: number
  readonly channels: number
  /** The rows and images of the output that are worked on at a time. */
  readonly #rows: number
  readonly #images: number
  readonly #room: number | undefined

  constructor(
    private readonly machine: Machine,
    readonly info: ConvInfo,
    private readonly multiplier: number,
  ) {
    const span = (out: number, stride: number, size: number, dilation: number) =>
      (out - 1) * stride + (size - 1) * dilation + 1
    const high = span(info.outHeight, info.strideHeight, info.filterHeight, info.dilationHeight)
    const wide = span(info.outWidth, info.strideWidth, info.filterWidth, info.dilationWidth)
    this.height = Math.max(high, info.inHeight + info.padInfo.top)
    this.width = Math.max(wide, info.inWidth + info.padInfo.left)
    this.channels = info.inChannels * multiplier
    const rowFloats = info.strideHeight * this.width * this.channels + info.outWidth * info.outChannels
    const rows = Math.max(1, Math.floor(near / rowFloats))
    this.#rows = Math.min(rows, info.outHeight)
    this.#images = Math.min(info.batchSize, Math.max(1, Math.floor(rows / info.outHeight)))
    const themselves = this.height === info.inHeight && this.width === info.inWidth && multiplier === 1
    this.#room = themselves ? undefined : machine.room(this.#images * this.size)
  }

  /** Floats of an image. */
  get size(): number {
    return this.height * this.width * this.channels
  }

  /** Strides, in floats, over images, rows and columns of windows. */
  get by(): [number, number, number] {
    const { strideHeight, strideWidth } = this.info
    return [this.size, strideHeight * this.width * this.channels, strideWidth * this.channels]
  }

  /**
   * Calls `work` for each part of the output with the addresses of its images' windows and of its output (`dy`). Before,
   * the windows see the images of `x`; with `back`, they see zeros, and what they then hold is written to `x`.
   */
  each(
    x: TensorInfo,
    dy: TensorInfo,
    back: boolean,
    work: (at: { windows: number; dy: number }, counts: [number, number, number], part: Part) => void,
  ): void {
    const { machine, info } = this
    const { batchSize, outHeight, outWidth, outChannels, inHeight, inWidth, inChannels } = info
    for (let image = 0; image < batchSize; image += this.#images) {
      const images = Math.min(this.#images, batchSize - image)
      const own = machine.at(x) + image * inHeight * inWidth * inChannels * 4
      if (this.#room !== undefined) this.#move(own, this.#room, images, back ? 'clear' : 'in')
      for (let row = 0; row < outHeight; row += this.#rows) {
        const rows = Math.min(this.#rows, outHeight - row)
        const windows = (this.#room ?? own) + row * this.by[1] * 4
        const out = machine.at(dy) + (image * outHeight + row) * outWidth * outChannels * 4
        work({ windows, dy: out }, [images, rows, outWidth], { row, rows })
      }
      if (this.#room !== undefined && back) this.#move(own, this.#room, images, 'out')
    }
  }

  /** Between the images and the room: copies of a channel are made on the way in and summed on the way out. */
  #move(own: number, room: number, images: number, way: 'in' | 'out' | 'clear'): void {
    const { info, multiplier } = this
    const floats = this.machine.floats()
    if (way !== 'out') floats.fill(0, room / 4, room / 4 + images * this.size)
    if (way === 'clear') return
    const count = info.inWidth * info.inChannels
    const { top, left } = info.padInfo
    for (let n = 0; n < images; n++)
      for (let y = 0; y < info.inHeight; y++) {
        const narrow = own / 4 + (n * info.inHeight + y) * count
        const wide = room / 4 + ((n * this.height + y + top) * this.width + left) * this.channels
        if (multiplier !== 1) (way === 'in' ? repeatEach : sumEach)(floats, narrow, wide, count, multiplier)
        else if (way === 'in') floats.copyWithin(wide, narrow, narrow + count)
        else floats.copyWithin(narrow, wide, wide + count)
      }
  }
}

function repeatEach(floats: Float32Array, from: number, to: number, count: number, times: number): void {
  for (let i = 0, at = to; i < count; i++) for (let m = 0; m < times; m++) floats[at++] = floats[from + i] as number
}

function sumEach(floats: Float32Array, to: number, from: number, count: number, times: number): void {
  for (let i = 0, at = from; i < count; i++) {
    let sum = 0
    for (let m = 0; m < times; m++) sum += floats[at++] as number
    floats[to + i] = sum
  }
}
