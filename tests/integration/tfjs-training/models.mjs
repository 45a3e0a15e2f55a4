/** Data and models of the tests, made with a TensorFlow.js. */
export function modelsOf(tf) {
  const random = (seed) => {
    let state = seed
    return () => {
      state = (state * 1664525 + 1013904223) >>> 0
      return state / 2 ** 32
    }
  }

  /** Rows of an image of 10 by 10, of one of 4 kinds. */
  function data(rows) {
    const next = random(7)
    const xs = tf.tensor4d(
      Float32Array.from({ length: rows * 100 }, () => next() - 0.5),
      [rows, 10, 10, 1],
    )
    const kinds = tf.tensor1d(
      Int32Array.from({ length: rows }, () => Math.floor(next() * 4)),
      'int32',
    )
    const ys = tf.oneHot(kinds, 4)
    kinds.dispose()
    return { xs, ys }
  }

  function build(kind, start) {
    let seed = 100 * start
    const kernelInitializer = () => tf.initializers.glorotUniform({ seed: ++seed })
    const { layers } = tf
    if (kind === 'cnn')
      return tf.sequential({
        layers: [
          layers.conv2d({
            inputShape: [10, 10, 1],
            filters: 4,
            kernelSize: 3,
            activation: 'tanh',
            kernelInitializer: kernelInitializer(),
          }),
          layers.averagePooling2d({ poolSize: 2 }),
          layers.conv2d({ filters: 6, kernelSize: 3, activation: 'tanh', kernelInitializer: kernelInitializer() }),
          layers.flatten(),
          layers.dense({ units: 4, activation: 'softmax', kernelInitializer: kernelInitializer() }),
        ],
      })
    const regularizer = kind === 'mlp' ? undefined : tf.regularizers.l2({ l2: 0.01 })
    return tf.sequential({
      layers: [
        layers.flatten({ inputShape: [10, 10, 1] }),
        layers.dense({
          units: kind === 'other' ? 13 : 12,
          activation: 'relu',
          kernelInitializer: kernelInitializer(),
          kernelRegularizer: regularizer,
        }),
        ...(kind === 'normed' ? [layers.batchNormalization()] : []),
        layers.dense({ units: 4, activation: 'softmax', kernelInitializer: kernelInitializer() }),
      ],
    })
  }

  const optimizers = {
    sgd: () => tf.train.sgd(0.05),
    momentum: () => tf.train.momentum(0.02, 0.9),
    adam: () => tf.train.adam(0.01),
  }

  return { data, build, optimizers }
}
