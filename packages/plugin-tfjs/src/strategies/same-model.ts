import { GangflowError } from '@gangflow/core'
import type { Tf } from '../backends/tf.js'
import type { Collectives } from '../collectives/contract.js'
import { differing } from './agree.js'
import type { Model, Weight } from './model.js'

interface Described {
  readonly variables: readonly { name: string; type: string }[]
  readonly optimizer: string
  readonly loss: string
}

/**
 * Compares the ranks' models, and gives every rank the weights of rank 0. Blocks. Error: `E_TF_MODEL`, on every rank,
 * naming the first variable that differs.
 */
export function startAlike(tf: Tf, collectives: Collectives, model: Model): void {
  if (collectives.size === 1) return
  const all = differing(collectives, describe(model) as unknown as Record<string, unknown>)
  if (all) throw another(all as unknown as readonly Described[])
  broadcastWeights(tf, collectives, model.weights)
}

function describe(model: Model): Described {
  const { optimizer } = model
  const { iterations } = optimizer as unknown as { iterations: number }
  return {
    // Names count the layers that a process has made: they are told, not compared.
    variables: model.weights.map(({ shape, dtype, trainable, originalName, name }) => ({
      name: (originalName ?? name).replace(/_?\d+(?=\/)/, ''),
      type: `${dtype}[${shape.join(', ')}]${trainable ? '' : ', not trained'}`,
    })),
    optimizer: `${optimizer.getClassName()} ${JSON.stringify(optimizer.getConfig())} after ${iterations ?? 0} steps`,
    loss: typeof model.loss === 'function' ? model.loss.name : JSON.stringify(model.loss),
  }
}

function another(all: readonly Described[]): GangflowError {
  const [first] = all as [Described]
  const text = (value: unknown) => JSON.stringify(value)
  const rank = all.findIndex((other) => text(other) !== text(first))
  const other = all[rank] as Described
  const count = Math.max(first.variables.length, other.variables.length)
  const at = Array.from({ length: count }, (_, index) => index).find(
    (index) => text(first.variables[index]) !== text(other.variables[index]),
  )
  const shown = (variable: { name: string; type: string } | undefined) =>
    variable ? `'${variable.name}' ${variable.type}` : 'absent'
  const what =
    at !== undefined
      ? `variable ${at} is ${shown(other.variables[at])} there, ${shown(first.variables[at])} on rank 0`
      : other.optimizer !== first.optimizer
        ? `its optimizer is ${other.optimizer}, that of rank 0 ${first.optimizer}`
        : `its loss is ${other.loss}, that of rank 0 ${first.loss}`
  return new GangflowError({
    code: 'E_TF_MODEL',
    what: `rank ${rank} has another model: ${what}`,
    fix: 'build the same model with the same optimizer on every member; only the first weights may differ',
    rank,
  })
}

/** One exchange for all weights of numbers with a fraction, one for each other weight. */
export function broadcastWeights(tf: Tf, collectives: Collectives, weights: readonly Weight[]): void {
  if (collectives.size === 1) return
  const write = (weight: Weight, values: Float32Array | Int32Array) =>
    tf.tidy(() => weight.val.assign(tf.tensor(values, weight.val.shape, weight.val.dtype)))
  const floats = weights.filter(({ val }) => val.dtype === 'float32')
  const all = concatenated(floats.map(({ val }) => val.dataSync() as Float32Array))
  collectives.broadcastSync(all)
  let at = 0
  for (const weight of floats) {
    const values = all.slice(at, at + weight.val.size)
    at += weight.val.size
    if (collectives.rank > 0) write(weight, values)
  }
  for (const weight of weights.filter(({ val }) => val.dtype !== 'float32')) {
    const values = collectives.broadcastSync(Int32Array.from(weight.val.dataSync() as ArrayLike<number>))
    if (collectives.rank > 0) write(weight, values)
  }
}

/** What is not trained but moves with the data, such as a batch norm's means, becomes the mean over the ranks. */
export function averageUntrained(tf: Tf, collectives: Collectives, model: Model): void {
  const moving = model.weights.filter(({ val, trainable }) => val.dtype === 'float32' && !trainable)
  if (moving.length === 0 || collectives.size === 1) return
  const all = concatenated(moving.map(({ val }) => val.dataSync() as Float32Array))
  collectives.allReduceSync(all, { reduction: 'mean' })
  let at = 0
  for (const { val } of moving) {
    const values = all.slice(at, at + val.size)
    at += val.size
    tf.tidy(() => val.assign(tf.tensor(values, val.shape)))
  }
}

function concatenated(parts: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}
