import tf from '@tensorflow/tfjs'
import { beforeAll, describe, expect, it } from 'vitest'
import { seeded } from '../random.js'
import { alike, difference, on, type Random, values } from './both.js'

type Four = [number, number, number, number]

beforeAll(() => tf.ready())

/** A convolution that has an output, drawn at random. */
function draw(random: Random, { depthwise, dilate }: { depthwise: boolean; dilate: boolean }) {
  for (;;) {
    const [height, width, inChannels] = [random.between(1, 11), random.between(1, 11), random.between(1, 9)]
    const x: Four = [random.of([1, 1, 2, 3, 7]), height, width, inChannels]
    const filter: Four = [random.between(1, 5), random.between(1, 5), inChannels, random.between(1, depthwise ? 4 : 19)]
    const dilations = dilate ? [random.between(1, 3), random.between(1, 3)] : [1, 1]
    const strides = dilate ? [1, 1] : [random.between(1, 3), random.between(1, 3)]
    const explicit = [0, 0, [random(3), random(3)], [random(3), random(3)], [0, 0]].map((side) => side || [0, 0])
    const pad = random.of<unknown>(['same', 'valid', random(3), explicit.slice(1)])
    const rounding = typeof pad === 'number' ? 'floor' : undefined
    try {
      const info = tf.backend_util.computeConv2DInfo(
        ...([x, filter, strides, dilations, pad, rounding, depthwise] as unknown as Parameters<
          typeof tf.backend_util.computeConv2DInfo
        >),
      )
      if (info.outHeight < 1 || info.outWidth < 1) continue
      const attrs = { strides, pad, dimRoundingMode: rounding, ...(depthwise ? { dilations } : {}) }
      return { x, filter, dy: info.outShape, attrs, dilations: dilations as [number, number] }
    } catch {
      // A filter larger than the image.
    }
  }
}

describe.each(['Conv2DBackpropFilter', 'Conv2DBackpropInput'])('%s', (kernel) => {
  const call = (random: Random, x: number[], filter: Four, dy: number[]) =>
    kernel.endsWith('Input')
      ? { inputs: { dy: values(random, dy), filter: values(random, filter) }, shape: { inputShape: x } }
      : { inputs: { x: values(random, x), dy: values(random, dy) }, shape: { filterShape: filter } }

  it('is what cpu gives, over drawn shapes', async () => {
    const random = seeded(1)
    for (let round = 0; round < 120; round++) {
      const { x, filter, dy, attrs } = draw(random, { depthwise: false, dilate: false })
      const { inputs, shape } = call(random, x, filter, dy)
      const all = { ...attrs, dataFormat: 'NHWC', ...shape }
      await alike(JSON.stringify({ x, filter, ...all }), kernel, inputs, all)
      tf.dispose(inputs)
    }
  })

  it('takes channels first', async () => {
    const random = seeded(2)
    for (let round = 0; round < 20; round++) {
      const { x, filter, dy, attrs } = draw(random, { depthwise: false, dilate: false })
      const turn = ([n, h, w, c]: number[]) => [n, c, h, w] as Four
      const { inputs, shape } = call(random, turn(x), filter, turn(dy))
      const sides = attrs.pad as number[][] | string
      const pad = Array.isArray(sides) ? [sides[0], sides[3], sides[1], sides[2]] : sides
      const all = { ...attrs, pad, dataFormat: 'NCHW', ...shape }
      await alike(JSON.stringify({ x, filter, ...all }), kernel, inputs, all)
      tf.dispose(inputs)
    }
  })

  it('of no images is zero, or nothing', async () => {
    const { inputs, shape } = call(seeded(4), [0, 5, 5, 2], [3, 3, 2, 4], [0, 3, 3, 4])
    const attrs = { strides: [1, 1], pad: 'valid', dataFormat: 'NHWC', ...shape }
    const { data } = await on('wasm', kernel, inputs, attrs)
    expect(data).toEqual(Array(kernel.endsWith('Input') ? 0 : 72).fill(0))
  })
})

describe('Conv2DBackpropFilter', () => {
  it('sums over many positions without losing precision, in parts', async () => {
    const random = seeded(3)
    const inputs = { x: values(random, [9, 40, 40, 3]), dy: values(random, [9, 40, 40, 5]) }
    const attrs = { strides: [1, 1], pad: 'same', dataFormat: 'NHWC', filterShape: [3, 3, 3, 5] }
    await alike('9 images', 'Conv2DBackpropFilter', inputs, attrs)
    tf.dispose(inputs)
    const wide = { x: values(random, [1, 9, 500, 16]), dy: values(random, [1, 9, 500, 2]) }
    await alike('wide rows', 'Conv2DBackpropFilter', wide, { ...attrs, filterShape: [3, 3, 16, 2] })
    tf.dispose(wide)
  })

  it('takes integers as cpu does', async () => {
    const random = seeded(4)
    const inputs = { x: tf.tensor4d([1, 2, 3, 4], [1, 2, 2, 1], 'int32'), dy: values(random, [1, 1, 1, 2]) }
    const attrs = { strides: [1, 1], pad: 'valid', dataFormat: 'NHWC', filterShape: [2, 2, 1, 2] }
    await alike('int32', 'Conv2DBackpropFilter', inputs, attrs)
  })
})

const depthwise = ['DepthwiseConv2dNativeBackpropFilter', 'DepthwiseConv2dNativeBackpropInput'] as const

describe.each(depthwise)('%s', (kernel) => {
  const ofInput = kernel.endsWith('Input')
  const call = (random: Random, drawn: ReturnType<typeof draw>) => {
    const dy = values(random, drawn.dy)
    const inputs = ofInput ? { dy, filter: values(random, drawn.filter) } : { x: values(random, drawn.x), dy }
    const shape = ofInput ? { inputShape: drawn.x } : { filterShape: drawn.filter }
    return { inputs, attrs: { ...drawn.attrs, ...shape } }
  }

  it('is what cpu gives, over drawn shapes', async () => {
    const random = seeded(5)
    for (let round = 0; round < 120; round++) {
      const { inputs, attrs } = call(random, draw(random, { depthwise: true, dilate: false }))
      await alike(JSON.stringify({ dy: inputs.dy.shape, ...attrs }), kernel, inputs, attrs)
      tf.dispose(inputs)
    }
  })

  // cpu's own kernels pass over dilations: it is asked with the filter that has zeros between its places.
  it('is what cpu gives for the widened filter, with dilations', async () => {
    const random = seeded(6)
    for (let round = 0; round < 40; round++) {
      const drawn = draw(random, { depthwise: true, dilate: true })
      const [high, wide] = drawn.dilations
      const [rows, columns, channels, multiplier] = drawn.filter
      const widened: Four = [(rows - 1) * high + 1, (columns - 1) * wide + 1, channels, multiplier]
      const { inputs, attrs } = call(random, drawn)
      const given = await on('wasm', kernel, inputs, attrs)
      const places = Array.from({ length: rows * columns }, (_, place) => [
        Math.floor(place / columns) * high,
        (place % columns) * wide,
      ])
      const plain = { ...attrs, dilations: [1, 1] }
      let expected: number[]
      if (ofInput) {
        const filter = tf.buffer(widened)
        const own = (inputs.filter as tf.Tensor).dataSync()
        for (const [place, [y = 0, x = 0]] of places.entries())
          for (let c = 0; c < channels; c++)
            for (let m = 0; m < multiplier; m++)
              filter.set(own[(place * channels + c) * multiplier + m] as number, y, x, c, m)
        const asked = { dy: inputs.dy, filter: filter.toTensor() }
        expected = (await on('cpu', kernel, asked, plain)).data
        asked.filter.dispose()
      } else {
        const all = await on('cpu', kernel, inputs, { ...plain, filterShape: widened })
        const across = channels * multiplier
        expected = places.flatMap(([y = 0, x = 0]) => {
          const from = (y * widened[1] + x) * across
          return all.data.slice(from, from + across)
        })
      }
      expect(difference(given.data, expected), JSON.stringify(attrs)).toBeLessThanOrEqual(1e-5)
      tf.dispose(inputs)
    }
  })

  it('of no images is zero, or nothing', async () => {
    const random = seeded(7)
    const { inputs, attrs } = call(random, {
      x: [0, 5, 5, 2],
      filter: [3, 3, 2, 2],
      dy: [0, 3, 3, 4],
      dilations: [1, 1],
      attrs: { strides: [1, 1], pad: 'valid', dilations: [1, 1], dimRoundingMode: undefined },
    })
    const { data } = await on('wasm', kernel, inputs, attrs)
    expect(data).toEqual(Array(ofInput ? 0 : 36).fill(0))
  })
})

describe('MaxPoolGrad', () => {
  it('is what cpu gives, over drawn shapes, with values that are equal', async () => {
    const random = seeded(8)
    for (let round = 0; round < 80; round++) {
      const drawn = draw(random, { depthwise: true, dilate: false })
      const filterSize = drawn.filter.slice(0, 2)
      const dy = [...drawn.dy.slice(0, 3), drawn.x[3]]
      const input = values(random, drawn.x)
      const inputs = { dy: values(random, dy), input: random(2) ? input : input.mul(2).round() }
      const attrs = { ...drawn.attrs, filterSize }
      await alike(JSON.stringify({ x: drawn.x, ...attrs }), 'MaxPoolGrad', inputs, attrs)
      tf.dispose([input, ...Object.values(inputs)])
    }
  })
})
