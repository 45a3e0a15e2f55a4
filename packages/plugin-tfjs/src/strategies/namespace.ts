import type { BackendName } from '../backends/names.js'
import type { Tf } from '../backends/tf.js'
import type { Collectives } from '../collectives/contract.js'
import type { EpochMetrics } from './metrics.js'
import type { MultiWorkerMirroredStrategy } from './multi-worker.js'
import type { ParameterServerOptions, ParameterServerStrategy } from './parameter-server/strategy.js'

/** `current.tf` of a step with `@tensorflow`. */
export interface TensorFlow {
  /** What `import * as tf from '@tensorflow/tfjs'` gives in the flow, on the gang's backend. */
  readonly tf: Tf
  readonly backend: BackendName
  /** Over all members of the gang. */
  readonly strategy: MultiWorkerMirroredStrategy
  /**
   * Another strategy over the same members: the last ones serve the variables, the others train without waiting for each
   * other. Every member calls it, as often as the others. Error: `E_TF_DECORATOR`.
   */
  parameterServer(options?: ParameterServerOptions): Promise<ParameterServerStrategy>
  /** Of every epoch that the step's models were trained, as it ends. The control keeps it as artifact `tfMetrics`, too. */
  readonly metrics: readonly EpochMetrics[]
  /** Those of the strategy. For an exchange of your own beside a training, open others: `collectives(current)`. */
  readonly collectives: Collectives
}
