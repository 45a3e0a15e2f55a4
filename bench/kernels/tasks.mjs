/** Kernels and training steps on batches of 128 (the wide ones 16); those that take cpu half a minute pass over it. `prepare` gives what is timed; it ends with values read back. */
const kernel = (name, shapes, attrs, integers) => ({
  prepare: (tf) => {
    const inputs = Object.fromEntries(
      Object.entries(shapes).map(([input, shape]) => [
        input,
        input === 'segmentIds' ? tf.randomUniform(shape, 0, integers, 'int32') : tf.randomNormal(shape),
      ]),
    )
    return () => {
      const made = tf.engine().runKernel(name, inputs, attrs)
      // Reading one value waits for the kernel, and costs all backends about the same.
      const one = made.flatten().slice(0, 1)
      one.dataSync()
      tf.dispose([made, one])
    }
  },
})
const conv = { strides: [1, 1], pad: 'same', dataFormat: 'NHWC' }
const deep = { ...conv, dilations: [1, 1] }
const large = [16, 14, 14, 32]
const plain = { transposeA: false, transposeB: false }

const step = (build, shape) => ({
  prepare: (tf) => {
    const model = build(tf.layers, tf)
    model.compile({ optimizer: tf.train.sgd(0.01), loss: 'categoricalCrossentropy' })
    const [xs, ys] = [tf.randomNormal([128, ...shape]), tf.oneHot(tf.range(0, 128, 1, 'int32').mod(10).toInt(), 10)]
    return () => model.trainOnBatch(xs, ys)
  },
})

export const tasks = {
  'dW of a first convolution, 28x28x1, 3x3, 8': kernel(
    'Conv2DBackpropFilter',
    { x: [128, 28, 28, 1], dy: [128, 28, 28, 8] },
    { ...conv, filterShape: [3, 3, 1, 8] },
  ),
  'dW of a convolution, 14x14x32, 3x3, 32': {
    ...kernel('Conv2DBackpropFilter', { x: large, dy: large }, { ...conv, filterShape: [3, 3, 32, 32] }),
    without: ['cpu'],
  },
  'dx of the same': kernel(
    'Conv2DBackpropInput',
    { dy: large, filter: [3, 3, 32, 32] },
    { ...conv, inputShape: large },
  ),
  'dW of a depthwise convolution, 14x14x32, 3x3': kernel(
    'DepthwiseConv2dNativeBackpropFilter',
    { x: large, dy: large },
    { ...deep, filterShape: [3, 3, 32, 1] },
  ),
  'dx of the same, depthwise': kernel(
    'DepthwiseConv2dNativeBackpropInput',
    { dy: large, filter: [3, 3, 32, 1] },
    { ...deep, inputShape: large },
  ),
  'gradient of an embedding, 4,096 of 10,000 by 64': kernel(
    'UnsortedSegmentSum',
    { x: [4096, 64], segmentIds: [4096] },
    { numSegments: 10_000 },
    10_000,
  ),
  'product, 128x784 by 784x256': kernel('BatchMatMul', { a: [128, 784], b: [784, 256] }, plain),
  'product, left side transposed': kernel(
    'BatchMatMul',
    { a: [128, 784], b: [128, 256] },
    { ...plain, transposeA: true },
  ),
  'product, right side transposed': kernel(
    'BatchMatMul',
    { a: [128, 256], b: [784, 256] },
    { ...plain, transposeB: true },
  ),
  '32 products, 64x64 by 64x64, right side transposed': kernel(
    'BatchMatMul',
    { a: [32, 64, 64], b: [32, 64, 64] },
    { ...plain, transposeB: true },
  ),
  'training step, MLP 784-256-10': step(
    (layers, tf) =>
      tf.sequential({
        layers: [
          layers.dense({ units: 256, activation: 'relu', inputShape: [784] }),
          layers.dense({ units: 10, activation: 'softmax' }),
        ],
      }),
    [784],
  ),
  'training step, CNN 28x28, conv 8 and 16': step(
    (layers, tf) =>
      tf.sequential({
        layers: [
          layers.conv2d({ filters: 8, kernelSize: 3, activation: 'relu', inputShape: [28, 28, 1] }),
          layers.maxPooling2d({ poolSize: 2 }),
          layers.conv2d({ filters: 16, kernelSize: 3, activation: 'relu' }),
          layers.maxPooling2d({ poolSize: 2 }),
          layers.flatten(),
          layers.dense({ units: 10, activation: 'softmax' }),
        ],
      }),
    [28, 28, 1],
  ),
}
