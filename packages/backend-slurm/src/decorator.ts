import { defineStepDecorator } from '@gangflow/core/plugin'
import { readOptions, type SlurmOptions, stepOptionNames } from './options.js'

/**
 * What a step asks of Slurm, over what the command line and the configuration say: `@slurm({ partition: 'gpu', time: '4h' })`.
 * With another backend it is of no effect. Options that are unknown or ill-typed are refused before anything runs.
 */
export const slurm = defineStepDecorator<SlurmOptions>({
  name: 'slurm',
  apiVersion: 1,
  options: stepOptionNames,
  needs(options) {
    readOptions({ ...options })
    return { gang: false }
  },
})
