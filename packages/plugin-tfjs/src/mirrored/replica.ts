import { rebuildFunction } from '@gangflow/core/parallel'
import type { Tensor } from '@tensorflow/tfjs'
import { loadBackend } from '../backends/load.js'
import type { Tf } from '../backends/tf.js'
import { ThreadCollectives } from '../collectives/threads.js'
import { restoreTraining } from '../strategies/checkpoint.js'
import type { Model } from '../strategies/model.js'
import { MultiWorkerMirroredStrategy } from '../strategies/multi-worker.js'
import { broadcastWeights } from '../strategies/same-model.js'
import { type Carried, land } from './carried.js'
import { type FromReplica, type ReplicaStart, type ToReplica, toldError } from './messages.js'
import { evaluateTogether, predictTogether } from './together.js'

type Batch = { value: unknown; done: boolean }
/** What is told of a `fitDataset`, in the place of its dataset. */
export interface DatasetCall {
  readonly size: number | undefined
  /** It is validated by a dataset, too, whose batches come in their turn. */
  readonly isValidated: boolean
  readonly args: object
}
type Call = ToReplica & { k: 'call' }

/** A replica: builds what replica 0 has built, then does with it what that is told to do. */
export async function serve(start: ReplicaStart): Promise<void> {
  const collectives = new ThreadCollectives(start.share, start.rank, start.timeoutMs, true)
  const tf = await loadBackend(start.folder, start.backend)
  const replica = new Replica(tf, collectives, start)
  start.port.on('message', (message: ToReplica) => replica.receive(message))
}

class Replica {
  private readonly models: Model[] = []
  private readonly strategy: MultiWorkerMirroredStrategy
  private readonly queue: ToReplica[] = []
  private busy = false
  private batches: { number: number; given: Carried }[] = []
  /** The calls up to this one get no more batches. */
  private over = 0
  private wake: (() => void) | undefined

  constructor(
    private readonly tf: Tf,
    private readonly collectives: ThreadCollectives,
    private readonly start: ReplicaStart,
  ) {
    const adopted = (model: Model) => void this.models.push(model)
    this.strategy = new MultiWorkerMirroredStrategy(tf, collectives, start.options, { adopted })
  }

  say(message: FromReplica): void {
    this.start.port.postMessage(message)
  }

  receive(message: ToReplica): void {
    if (message.k === 'batch' || message.k === 'over') {
      if (message.k === 'batch') this.batches.push(message)
      else this.over = message.number
      this.wake?.()
      return
    }
    this.queue.push(message)
    if (!this.busy) void this.drain()
  }

  private async drain(): Promise<void> {
    this.busy = true
    for (let next = this.queue.shift(); next !== undefined; next = this.queue.shift()) await this.handle(next)
    this.busy = false
  }

  private async handle(message: ToReplica): Promise<void> {
    if (message.k === 'call') return this.call(message)
    try {
      if (message.k === 'scope') {
        const build = (await rebuildFunction(message.build)) as () => unknown
        await this.strategy.scope(build)
        this.say({ k: 'built', models: this.models.length })
      } else if (message.k === 'restore') await restoreTraining(this.tf, this.models[message.model]!, message.saved)
    } catch (error) {
      this.say({ k: 'failed', error: toldError(error) })
    }
  }

  /** Every call ends with the same exchange on all replicas: one that failed alone is known by it. */
  private async call(call: Call): Promise<void> {
    const made: Tensor[] = []
    let failed = 0
    try {
      await this.perform(call, made)
    } catch (error) {
      failed = 1
      this.say({ k: 'failed', error: toldError(error) })
    } finally {
      this.tf.dispose(made)
    }
    try {
      this.collectives.allGatherSync(Uint8Array.of(failed))
    } catch {
      // Replica 0 has met the same, and ends this thread.
    }
  }

  private async perform({ number: call, model: number, method, given, sync }: Call, made: Tensor[]): Promise<void> {
    const { tf, collectives } = this
    const model = this.models[number]!
    const [x, y, args] = land(tf, given, made) as [never, never, never]
    if (sync) broadcastWeights(tf, collectives, model.weights)
    if (method === 'fit') await model.fit(x, y, args)
    else if (method === 'trainOnBatch') await model.trainOnBatch(x, y)
    else if (method === 'fitDataset') await this.fitDataset(model, x, call)
    else {
      const plain = model as unknown as Record<'evaluate' | 'predict', never>
      if (method === 'evaluate') {
        const evaluate = plain.evaluate as Parameters<typeof evaluateTogether>[3]
        tf.dispose(evaluateTogether(tf, collectives, model, evaluate.bind(model))(x, y, args))
      } else {
        const predict = plain.predict as Parameters<typeof predictTogether>[2]
        tf.dispose(predictTogether(tf, collectives, predict.bind(model))(x, y))
      }
    }
  }

  /** On the batches of replica 0's datasets: all replicas take them in the same order. */
  private async fitDataset(model: Model, { size, isValidated, args }: DatasetCall, call: number): Promise<void> {
    this.batches = this.batches.filter(({ number }) => number >= call)
    const iterator = async () => ({ next: () => this.nextBatch(call) })
    const data = { iterator, ...(size === undefined ? {} : { size }) }
    const validation = isValidated ? { validationData: { iterator } } : {}
    await model.fitDataset(data as never, { ...args, ...validation } as never)
  }

  private async nextBatch(call: number): Promise<Batch> {
    while (this.batches.length === 0) {
      if (this.over >= call) throw new Error('replica 0 has ended this training')
      await new Promise<void>((resolve) => (this.wake = resolve))
    }
    // The training disposes of a batch's tensors itself.
    return land(this.tf, this.batches.shift()?.given, []) as Batch
  }
}
