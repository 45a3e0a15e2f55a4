import util from 'node:util'
import type { Tf } from './tf.js'

/** Before tfjs-node is loaded in this process. */
export function prepareNode(): void {
  const own = util as { isNullOrUndefined?: (value: unknown) => boolean }
  // tfjs-node calls it, and Node 23 no longer has it.
  own.isNullOrUndefined ??= (value) => value === null || value === undefined
  // Else TensorFlow greets on stderr with three lines of what it is optimized for; its warnings stay.
  process.env['TF_CPP_MIN_LOG_LEVEL'] ??= '1'
}

/** The cpu backend's advice to install tfjs-node comes with its first tensor; what was taken, and why, is told already. */
export function withoutAdvice(tf: Tf): void {
  const isProd = tf.env().getBool('PROD')
  tf.env().set('PROD', true)
  tf.scalar(0).dispose()
  tf.env().set('PROD', isProd)
}
