import { GangflowError } from '@gangflow/core'
import type { Optimizer } from '@tensorflow/tfjs'
import type { Tf } from '../../backends/tf.js'
import { partOf } from '../../collectives/split.js'
import type { Model } from '../model.js'
import { layoutOf, stateOf, valuesOf } from './layout.js'
import { type Links, named } from './links.js'
import { Shard } from './shard.js'
import { shareEnd } from './share-end.js'
import { Ask, At, HEAD } from './wire.js'

/** Holds this server's part of a model for one training; settles with its history when all workers have ended it. */
export async function serve<H>(tf: Tf, links: Links, model: Model, staleness: number): Promise<H> {
  const { all, workers, servers, pairs } = links
  const { optimizer } = model
  const layout = layoutOf(model)
  const { begin, end } = partOf(layout.length, servers, all.rank - workers)
  if (layout.length < servers)
    throw new GangflowError({
      code: 'E_TF_DECORATOR',
      what: `the model has ${layout.length} trained numbers for ${servers} parameter servers`,
      fix: 'take fewer servers',
    })
  const { iterations, slots } = await stateOf(optimizer, layout)
  const values = valuesOf(layout).slice(begin, end)
  const shard = new Shard(tf, another(optimizer), values, workers, staleness)
  await shard.restore({ iterations, slots: slots.map((slot) => slot.slice(begin, end)) })
  await Promise.all(pairs.map((_, worker) => named(links, worker, () => answer(links, shard, worker))))
  const part = { ...(await shard.state()), values: shard.values.slice() }
  shard.dispose()
  return shareEnd<H>(tf, links, { layout, model }, part)
}

async function answer({ pairs }: Links, shard: Shard, worker: number): Promise<void> {
  const pair = pairs[worker]!
  const length = HEAD + shard.values.length
  const [request, reply] = [0, 1].map(() => pair.buffer('float32', length)) as [Float32Array, Float32Array]
  for (;;) {
    await pair.broadcast(request, { from: 0 })
    await shard.meet(worker, request)
    const ask = request[At.ask]
    const state = ask === Ask.state ? await shard.state() : undefined
    reply[At.ask] = state?.iterations ?? 0
    reply[At.rows] = state?.slots.length ?? 0
    reply.set(shard.values, HEAD)
    await pair.broadcast(reply, { from: 1 })
    for (const slot of state?.slots ?? []) await pair.broadcast(slot.slice(), { from: 1 })
    if (ask === Ask.end) break
  }
  pair.release(request)
  pair.release(reply)
}

/** A new one of the same class and settings. */
function another(optimizer: Optimizer): Optimizer {
  type Class = { fromConfig(cls: unknown, config: object): Optimizer }
  const Class = optimizer.constructor as unknown as Class
  return Class.fromConfig(Class, optimizer.getConfig() as object)
}
