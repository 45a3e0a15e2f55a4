import { type Duration, GangflowError, milliseconds } from '@gangflow/core'
import { type BackendName, backendNames } from '../backends/names.js'
import type { NanPolicy } from './gradients.js'

export interface StrategyOptions {
  /**
   * `'global'` (default): `batchSize` of `fit` is that of the gang, and each member trains on its part of every batch: the
   * weights become those of one process. `'member'`: it is each member's, so that the gang's batch grows with it.
   */
  readonly batchSize?: 'global' | 'member'
  /**
   * Where the gang's gradients are not all finite. `'error'` (default): `E_TF_NAN` on every member, which names variable
   * and rank. `'skip'`: the step is left out on every member. `'ignore'`: training goes on, as in one process.
   */
  readonly nan?: NanPolicy
}

/** Options of `@tensorflow(…)`. */
export interface TensorflowOptions extends StrategyOptions {
  /** The only one that will do. Default: the first of tfjs-node, wasm and cpu that every member has. */
  readonly backend?: BackendName
  /**
   * After so many epochs, and after the last one, rank 0 saves weights and optimizer; `fit` and `fitDataset` of the
   * step's next attempt go on from there. Default: not at all.
   */
  readonly checkpointEvery?: number
  /** How long a member waits for the others in each exchange. Default 10 minutes. */
  readonly timeout?: Duration
}

export const decoratorNames: readonly (keyof TensorflowOptions)[] = [
  'backend',
  'batchSize',
  'nan',
  'checkpointEvery',
  'timeout',
]

const values: Record<string, readonly string[]> = {
  backend: backendNames,
  batchSize: ['global', 'member'],
  nan: ['error', 'skip', 'ignore'],
}

/** Throws `E_TF_DECORATOR`. */
export function checkOptions(options: TensorflowOptions, where = '@tensorflow'): void {
  const { checkpointEvery } = options
  if (checkpointEvery !== undefined && !(Number.isInteger(checkpointEvery) && checkpointEvery > 0))
    throw new GangflowError({
      code: 'E_TF_DECORATOR',
      what: `${where}: checkpointEvery is ${JSON.stringify(checkpointEvery)}`,
      fix: 'give a number of epochs, 1 or more, or leave it out',
    })
  if (options.timeout !== undefined) milliseconds(options.timeout)
  for (const [name, known] of Object.entries(values)) {
    const given = options[name as keyof TensorflowOptions]
    if (given === undefined || known.includes(given as string)) continue
    throw new GangflowError({
      code: 'E_TF_DECORATOR',
      what: `${where}: ${name} is ${JSON.stringify(given)}`,
      fix: `give one of ${known.join(', ')}, or leave it out`,
    })
  }
}
