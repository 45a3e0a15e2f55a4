export type { Tf } from './backends/tf.js'
