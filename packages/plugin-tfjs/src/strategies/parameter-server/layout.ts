import type { Optimizer, Tensor, Variable } from '@tensorflow/tfjs'
import type { Tf } from '../../backends/tf.js'
import type { Model } from '../model.js'

interface NamedTensor {
  name: string
  tensor: Tensor
}

/** A model's trained variables one after the other. */
export interface Layout {
  readonly variables: readonly { readonly name: string; readonly val: Variable }[]
  readonly length: number
}

export function layoutOf(model: Model): Layout {
  const { collectedTrainableWeights: weights } = model as unknown as {
    collectedTrainableWeights: readonly { originalName: string; val: Variable }[]
  }
  const variables = weights.map(({ originalName, val }) => ({ name: originalName, val }))
  return { variables, length: variables.reduce((sum, { val }) => sum + val.size, 0) }
}

export function valuesOf({ variables, length }: Layout): Float32Array {
  return joined(
    variables.map(({ val }) => val.dataSync() as Float32Array),
    length,
  )
}

export function assign(tf: Tf, { variables }: Layout, values: Float32Array): void {
  let at = 0
  for (const { val } of variables) {
    const own = values.slice(at, at + val.size)
    at += val.size
    tf.tidy(() => val.assign(tf.tensor(own, val.shape)))
  }
}

/** An optimizer's count of steps, and each kind of its slots for all variables one after the other. */
export interface State {
  readonly iterations: number
  readonly slots: readonly Float32Array[]
}

export async function stateOf(optimizer: Optimizer, { variables, length }: Layout): Promise<State> {
  const [count, ...all] = (await optimizer.getWeights()) as [NamedTensor, ...NamedTensor[]]
  const [iterations] = await count.tensor.data()
  count.tensor.dispose()
  const kinds = Math.floor(all.length / Math.max(1, variables.length))
  const slots = Array.from({ length: kinds }, (_, kind) => {
    const own = all.slice(kind * variables.length, (kind + 1) * variables.length)
    return joined(
      own.map(({ tensor }) => tensor.dataSync() as Float32Array),
      length,
    )
  })
  return { iterations: iterations as number, slots }
}

/** Puts it into an optimizer of these variables; what the optimizer had is freed. */
export async function restoreState(
  tf: Tf,
  optimizer: Optimizer,
  { variables }: Pick<Layout, 'variables'>,
  { iterations, slots }: State,
): Promise<void> {
  const before = await optimizer.getWeights()
  const tensors: NamedTensor[] = [{ name: 'iter', tensor: tf.scalar(iterations, 'int32') }]
  slots.forEach((values, kind) => {
    let at = 0
    for (const { name, val } of variables) {
      tensors.push({ name: `${name}/${kind}`, tensor: tf.tensor(values.slice(at, at + val.size), val.shape) })
      at += val.size
    }
  })
  await optimizer.setWeights(tensors)
  tf.dispose([...tensors, ...before].map(({ tensor }) => tensor))
}

function joined(parts: readonly Float32Array[], length: number): Float32Array {
  const all = new Float32Array(length)
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}
