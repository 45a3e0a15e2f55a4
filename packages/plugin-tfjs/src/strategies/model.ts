import type { CustomCallback, History, LayersModel, Optimizer, Tensor, Variable } from '@tensorflow/tfjs'

/** A batch's inputs, targets and, where there are class weights, weights of its rows, one after the other. */
export type Columns = readonly (Tensor | null)[]
/** Performs one step; gives loss and metrics. */
export type Train = (columns: Columns) => Tensor[]

export interface Weight {
  readonly name: string
  readonly originalName: string
  readonly shape: readonly (number | null)[]
  readonly dtype: string
  readonly trainable: boolean
  readonly val: Variable
}

export type FitLoop = (
  train: Train,
  columns: Columns,
  labels: readonly string[],
  batchSize: number | undefined,
  epochs: number | undefined,
  verbose: number | undefined,
  callbacks: readonly CustomCallback[],
  test: Train | null,
  testColumns: Columns,
  shuffle: boolean | string | undefined,
  names: readonly string[],
  initialEpoch: number | undefined,
  stepsPerEpoch: number | null,
  validationSteps: number | null,
) => Promise<History>

export type TestLoop = (test: Train, columns: Columns, batchSize: number, ...rest: unknown[]) => Tensor[]

/** What of a LayersModel is used, which its types keep to themselves (tfjs-layers 4.22, engine/training.ts). */
export interface Model {
  readonly name: string
  readonly weights: readonly Weight[]
  readonly optimizer: Optimizer
  readonly loss: unknown
  stopTraining: boolean
  readonly stopTraining_: boolean
  makeTrainFunction(): Train
  fitLoop: FitLoop
  testLoop: TestLoop
  fit: LayersModel['fit']
  evaluate: LayersModel['evaluate']
  evaluateDataset: LayersModel['evaluateDataset']
  fitDataset: LayersModel['fitDataset']
  trainOnBatch: LayersModel['trainOnBatch']
}

/** An optimizer whose gradients can be met on their way. */
export interface Applying {
  applyGradients(gradients: Gradients): void
}
export type Gradients = { name: string; tensor: Tensor | null }[] | Record<string, Tensor | null>
