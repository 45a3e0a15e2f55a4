import type { Tf } from '../../backends/tf.js'
import { partOf } from '../../collectives/split.js'
import type { Model } from '../model.js'
import { broadcastWeights } from '../same-model.js'
import { assign, type Layout, restoreState, type State } from './layout.js'
import type { Links } from './links.js'

/** A server's part at the end of a training. */
export interface Part extends State {
  readonly values: Float32Array
}

/**
 * Gives every member, servers too, the weights, the optimizer's state and the first worker's history of a training that
 * is over; settles with that history. Every member calls it.
 */
export async function shareEnd<H>(
  tf: Tf,
  { all, workers, servers }: Links,
  { layout, model }: { readonly layout: Layout; readonly model: Model },
  own: Part | undefined,
  history?: H,
): Promise<H> {
  const { length } = layout
  const values = new Float32Array(length)
  const slots: Float32Array[] = []
  let iterations = 0
  for (let index = 0; index < servers; index++) {
    const from = workers + index
    const isOwn = all.rank === from
    const { begin, end } = partOf(length, servers, index)
    const fill = async (whole: Float32Array, part: Float32Array | undefined) =>
      whole.set(await all.broadcast(isOwn ? part!.slice() : new Float32Array(end - begin), { from }), begin)
    const counts = Int32Array.of(own?.iterations ?? 0, own?.slots.length ?? 0)
    const [steps, kinds] = (await all.broadcast(counts, { from })) as unknown as [number, number]
    iterations = steps
    await fill(values, own?.values)
    for (let kind = 0; kind < kinds; kind++) {
      const slot = slots[kind] ?? new Float32Array(length)
      slots[kind] = slot
      await fill(slot, own?.slots[kind])
    }
  }
  assign(tf, layout, values)
  const trained = new Set<unknown>(layout.variables.map(({ val }) => val))
  broadcastWeights(
    tf,
    all,
    model.weights.filter(({ val }) => !trained.has(val)),
  )
  await restoreState(tf, model.optimizer, layout, { iterations, slots })
  const text = new Uint8Array(Buffer.from(JSON.stringify(history ?? null)))
  const [size] = await all.broadcast(Int32Array.of(text.length))
  const told = await all.broadcast(all.rank === 0 ? text : new Uint8Array(size as number))
  return JSON.parse(Buffer.from(told).toString()) as H
}
