import tf from '@tensorflow/tfjs'
import { beforeAll, describe, expect, it } from 'vitest'
import { seeded } from '../random.js'
import { difference, type Random, values } from './both.js'

beforeAll(() => tf.ready())

const { layers } = tf
/** A model of every layer whose gradient the kernels give; its start is the same each time. */
function build(random: Random): tf.Sequential {
  const model = tf.sequential({
    layers: [
      layers.embedding({ inputDim: 20, outputDim: 6, inputLength: 64 }),
      layers.reshape({ targetShape: [8, 8, 6] }),
      layers.conv2d({ filters: 8, kernelSize: 3, padding: 'same', activation: 'tanh' }),
      layers.depthwiseConv2d({ kernelSize: 3, strides: 2, padding: 'same', depthMultiplier: 2, activation: 'tanh' }),
      layers.separableConv2d({ filters: 7, kernelSize: 2, activation: 'tanh' }),
      layers.conv2dTranspose({ filters: 5, kernelSize: 3, strides: 2, activation: 'tanh' }),
      layers.flatten(),
      layers.dense({ units: 5, activation: 'softmax' }),
    ],
  })
  model.setWeights(model.getWeights().map(({ shape }) => values(random, shape).mul(0.3)))
  return model
}

/** The weights after some steps of training. */
async function trained(backend: string): Promise<number[]> {
  await tf.setBackend(backend)
  const random = seeded(21)
  const model = build(random)
  model.compile({ optimizer: tf.train.sgd(0.1), loss: 'categoricalCrossentropy' })
  const xs = tf.tensor2d(
    Array.from({ length: 8 * 64 }, () => random(20)),
    [8, 64],
    'int32',
  )
  const ys = tf.oneHot(
    tf.tensor1d(
      Array.from({ length: 8 }, () => random(5)),
      'int32',
    ),
    5,
  )
  for (let step = 0; step < 5; step++) await model.trainOnBatch(xs, ys)
  return model.getWeights().flatMap((weight) => [...weight.dataSync()])
}

describe('training on the wasm backend', () => {
  it('gives the weights that cpu gives', async () => {
    expect(difference(await trained('wasm'), await trained('cpu'))).toBeLessThanOrEqual(1e-5)
  })

  it('leaves neither tensors nor memory behind', async () => {
    await tf.setBackend('wasm')
    const random = seeded(22)
    const [x, w, d] = [values(random, [4, 64, 64, 8]), values(random, [3, 3, 8, 8]), values(random, [3, 3, 8, 2])]
    const table = values(random, [50, 64])
    const loss = (filter: tf.Tensor, places: tf.Tensor, rows: tf.Tensor): tf.Scalar => {
      const seen = tf.depthwiseConv2d(
        tf.conv2d(x as tf.Tensor4D, filter as tf.Tensor4D, 1, 'same'),
        places as tf.Tensor4D,
        2,
        'same',
      )
      const found = tf.gather(rows, tf.tensor1d([3, 3, 9], 'int32'))
      return seen
        .square()
        .mean()
        .add(tf.matMul(found, found, false, true).mean()) as tf.Scalar
    }
    const step = () =>
      tf.tidy(() => {
        for (const grad of tf.grads(loss)([w, d, table])) grad.dataSync()
      })
    const { memory } = (tf.backend() as unknown as { wasm: { asm: { memory: { buffer: ArrayBuffer } } } }).wasm.asm
    for (let i = 0; i < 3; i++) step()
    const before = { ...tf.memory(), ids: tf.backend().numDataIds(), heap: memory.buffer.byteLength }
    for (let i = 0; i < 40; i++) step()
    const { numTensors, numDataBuffers, numBytes } = before
    expect(tf.memory()).toMatchObject({ numTensors, numDataBuffers, numBytes })
    expect(tf.backend().numDataIds()).toBe(before.ids)
    // 40 rounds would have left 20 MB of padded images.
    expect(memory.buffer.byteLength).toBe(before.heap)
  })
})
