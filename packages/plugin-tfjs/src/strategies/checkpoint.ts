import { GangflowError } from '@gangflow/core'
import type { Tensor } from '@tensorflow/tfjs'
import type { Tf } from '../backends/tf.js'
import type { Model } from './model.js'

/** Where a training is kept, by its number in the step. */
export interface TrainingStore {
  /** Epochs between two savings. */
  readonly every: number
  save(training: number, saved: SavedTraining): Promise<void>
  /** What was saved by this attempt, else by those before. */
  load(training: number): Promise<SavedTraining | undefined>
}

interface SavedTensor {
  readonly name: string
  readonly shape: readonly number[]
  readonly dtype: 'float32' | 'int32' | 'bool'
  readonly values: Float32Array | Int32Array | Uint8Array
}

export interface SavedTraining {
  /** The last one that is done. */
  readonly epoch: number
  readonly weights: readonly SavedTensor[]
  readonly optimizer: readonly SavedTensor[]
}

export async function saveTraining(model: Model, epoch: number): Promise<SavedTraining> {
  const one = async (name: string, tensor: Tensor): Promise<SavedTensor> => ({
    name,
    shape: tensor.shape,
    dtype: tensor.dtype as 'float32',
    values: (await tensor.data()) as Float32Array,
  })
  const state = await model.optimizer.getWeights()
  const saved = {
    epoch,
    weights: await Promise.all(model.weights.map(({ originalName, val }) => one(originalName, val))),
    optimizer: await Promise.all(state.map(({ name, tensor }) => one(name, tensor))),
  }
  // The count of steps is a tensor made for this; the others are the optimizer's own.
  state[0]?.tensor.dispose()
  return saved
}

/** Puts weights and optimizer where they were. Error: `E_TF_CHECKPOINT` where the model has become another one. */
export async function restoreTraining(tf: Tf, model: Model, saved: SavedTraining): Promise<void> {
  const shapes = (all: readonly { shape: readonly (number | null)[] }[]) =>
    JSON.stringify(all.map(({ shape }) => shape))
  if (shapes(saved.weights) !== shapes(model.weights.map(({ val }) => val)))
    throw new GangflowError({
      code: 'E_TF_CHECKPOINT',
      what: `the checkpoint of epoch ${saved.epoch + 1} has other variables than the model`,
      fix: 'build the same model as in the attempt before, or run the flow anew',
    })
  model.weights.forEach(({ val }, index) => {
    const { values } = saved.weights[index] as SavedTensor
    tf.tidy(() => val.assign(tf.tensor(values, val.shape, val.dtype)))
  })
  const tensors = saved.optimizer.map(({ name, shape, dtype, values }) => ({
    name,
    tensor: tf.tensor(values, [...shape], dtype),
  }))
  await model.optimizer.setWeights(tensors)
  tf.dispose(tensors.map(({ tensor }) => tensor))
}
