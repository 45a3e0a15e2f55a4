import type { Tf } from '@gangflow/plugin-tfjs'
import type * as TF from '@tensorflow/tfjs'
import { type Digits, tensorsOf } from './digits.js'

/** A small convolutional network, as one would write it for one process. */
export function buildModel(tf: Tf): TF.LayersModel {
  const model = tf.sequential()
  model.add(
    tf.layers.conv2d({ inputShape: [8, 8, 1], filters: 16, kernelSize: 3, padding: 'same', activation: 'relu' }),
  )
  model.add(tf.layers.conv2d({ filters: 32, kernelSize: 3, padding: 'same', activation: 'relu' }))
  model.add(tf.layers.maxPooling2d({ poolSize: 2 }))
  model.add(tf.layers.flatten())
  model.add(tf.layers.dense({ units: 64, activation: 'relu' }))
  model.add(tf.layers.dense({ units: 10, activation: 'softmax' }))
  model.compile({ optimizer: tf.train.adam(0.002), loss: 'categoricalCrossentropy', metrics: ['accuracy'] })
  return model
}

/** The share of digits that the model names rightly. */
export function accuracyOf(tf: Tf, model: TF.LayersModel, digits: Digits): number {
  return tf.tidy(() => {
    const { xs } = tensorsOf(tf, digits)
    const named = (model.predict(xs) as TF.Tensor).argMax(-1).dataSync()
    return digits.labels.filter((label, row) => named[row] === label).length / digits.labels.length
  })
}
