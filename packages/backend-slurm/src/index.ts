export { createBackend } from './backend.js'
export { slurm } from './decorator.js'
export type { SlurmOptions } from './options.js'
