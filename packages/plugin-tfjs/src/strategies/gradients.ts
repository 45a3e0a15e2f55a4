import { GangflowError } from '@gangflow/core'
import type { Optimizer, Tensor } from '@tensorflow/tfjs'
import type { Tf } from '../backends/tf.js'
import type { Collectives } from '../collectives/contract.js'
import type { Applying, Gradients, Model } from './model.js'

/** What happens where the gang's gradients are not all finite: see `StrategyOptions.nan`. */
export type NanPolicy = 'error' | 'skip' | 'ignore'

/** The step in work on this rank. */
export interface Share {
  /** Rows that this rank computes on: its weight in the mean. */
  readonly rows: number
  /** Rows of all ranks, once the gradients were exchanged. */
  total?: number
  skipped?: boolean
}

/** How a rank's gradients move the weights of all. */
export interface GradientExchange {
  /** Absent: an optimizer that is used outside of a step, where each rank counts the same. */
  share: Share | undefined
  attach<T extends Optimizer>(optimizer: T): T
  /** Before a training's first step, when all have the same weights. */
  open?(model: Model): Promise<void>
  /** After an epoch's last step, and before its validation: gives every rank the same weights. Blocks. */
  settle?(): void
  /** Gives rank 0's optimizer its whole state, to be saved. Every rank calls it. */
  gather?(): Promise<void>
  /** After a training's last step. */
  close?(history: unknown): Promise<void>
}

/** Optimizers whose gradients are the means over all rows of the gang. */
export class Exchange implements GradientExchange {
  share: Share | undefined
  steps = 0
  private memory: Float32Array | undefined
  private readonly attached = new WeakSet<object>()

  constructor(
    private readonly tf: Tf,
    private readonly collectives: Collectives,
    private readonly nan: NanPolicy,
  ) {}

  /** Patches this one instance: its class, slots and settings stay what they are. */
  attach<T extends Optimizer>(optimizer: T): T {
    if (this.attached.has(optimizer)) return optimizer
    this.attached.add(optimizer)
    const applying = optimizer as unknown as Applying
    const apply = applying.applyGradients.bind(optimizer)
    applying.applyGradients = (given) => {
      this.steps += 1
      const own = list(given)
      const means = this.exchange(own)
      if (means === undefined) return
      apply(Array.isArray(given) ? means : Object.fromEntries(means.map(({ name, tensor }) => [name, tensor])))
      for (const { tensor } of means) tensor.dispose()
    }
    return optimizer
  }

  /** The gang's means; undefined: the step is skipped. */
  private exchange(own: readonly Named[]): Named[] | undefined {
    const { tf, collectives } = this
    const share: Share = this.share ?? { rows: 1 }
    const length = own.reduce((sum, { tensor }) => sum + tensor.size, 1)
    const buffer = this.room(length)
    fill(buffer, own, share.rows)
    collectives.allReduceSync(buffer)
    const total = buffer[0] as number
    share.total = total
    const [scale] = Float64Array.of(1 / total) as unknown as [number]
    const means: Named[] = []
    let at = 1
    let broken: string | undefined
    for (const { name, tensor } of own) {
      const values = new Float32Array(tensor.size)
      // Stays zero while all are finite.
      let trace = 0
      for (let index = 0; index < values.length; index++) {
        const value = (buffer[at + index] as number) * scale
        values[index] = value
        trace += value * 0
      }
      at += values.length
      if (trace !== 0) broken ??= name
      means.push({ name, tensor: tf.tensor(values, tensor.shape) })
    }
    if (broken === undefined || this.nan === 'ignore') return means
    for (const { tensor } of means) tensor.dispose()
    if (this.nan === 'skip') {
      share.skipped = true
      return undefined
    }
    throw this.notFinite(own, broken)
  }

  /** All ranks come here together: their sums are the same bits. */
  private notFinite(own: readonly Named[], variable: string): GangflowError {
    const isBroken = own.some(({ tensor }) => !tensor.dataSync().every(Number.isFinite))
    const flags = this.collectives.allGatherSync(Uint8Array.of(isBroken ? 1 : 0))
    const ranks = [...flags.keys()].filter((rank) => flags[rank] === 1)
    const [rank] = ranks
    return new GangflowError({
      code: 'E_TF_NAN',
      what: `step ${this.steps}: the gradient of '${variable}' is not finite${ranks.length > 0 ? `, from rank${ranks.length > 1 ? 's' : ''} ${ranks.join(', ')}` : ''}`,
      fix: "lower the learning rate, clip, or look at the data; nan: 'skip' leaves such steps out, 'ignore' goes on as one process would",
      ...(rank === undefined ? {} : { rank }),
    })
  }

  private room(length: number): Float32Array {
    if (this.memory === undefined || this.memory.length < length) {
      if (this.memory) this.collectives.release(this.memory)
      this.memory = this.collectives.buffer('float32', length)
    }
    return this.memory.subarray(0, length)
  }
}

interface Named {
  name: string
  tensor: Tensor
}

/** Those that the loss depends on. */
function list(given: Gradients): Named[] {
  const all = Array.isArray(given) ? given : Object.entries(given).map(([name, tensor]) => ({ name, tensor }))
  return all.filter((one): one is Named => one.tensor !== null && one.tensor !== undefined)
}

/** The rows, then all gradients times the rows. Of no rows: zeros, whatever was computed. */
function fill(buffer: Float32Array, own: readonly Named[], rows: number): void {
  buffer[0] = rows
  if (rows === 0) {
    buffer.fill(0)
    return
  }
  let at = 1
  for (const { tensor } of own) {
    const values = tensor.dataSync() as Float32Array
    if (rows === 1) buffer.set(values, at)
    else for (let index = 0; index < values.length; index++) buffer[at + index] = (values[index] as number) * rows
    at += values.length
  }
}
