import type { Optimizer, Variable } from '@tensorflow/tfjs'
import type { Tf } from '../../backends/tf.js'
import { restoreState, type State, stateOf } from './layout.js'
import { Ask, At, HEAD } from './wire.js'

/**
 * A server's part of the variables, as one of their own, with the optimizer that moves it. Optimizers work element by
 * element: a part moves as it would within the whole.
 */
export class Shard {
  private readonly variable: Variable
  private known: Float32Array | undefined
  /** Steps of each worker in this epoch; absent: it rests, and nobody waits for it. */
  private readonly clocks = new Map<number, number>()
  /** Gradients of a step that not all workers have given; with staleness 0 alone. */
  private readonly round = new Map<number, Float32Array>()
  private readonly waiting = new Map<number, () => void>()

  constructor(
    private readonly tf: Tf,
    private readonly optimizer: Optimizer,
    begin: Float32Array,
    private readonly workers: number,
    private readonly staleness: number,
  ) {
    this.variable = tf.tidy(() => tf.variable(tf.tensor1d(begin)))
    this.wakeAll()
  }

  restore(state: State): Promise<void> {
    return restoreState(this.tf, this.optimizer, this.layout, state)
  }
  state(): Promise<State> {
    return stateOf(this.optimizer, this.layout)
  }
  get values(): Float32Array {
    this.known ??= this.variable.dataSync() as Float32Array
    return this.known
  }
  dispose(): void {
    this.variable.dispose()
    this.optimizer.dispose()
  }

  /** Settles when that worker may go on. The request is not touched until then. */
  async meet(worker: number, request: Float32Array): Promise<void> {
    const ask = request[At.ask]
    if (ask === Ask.rest || ask === Ask.end) {
      this.clocks.delete(worker)
      if (this.clocks.size === 0 && ask === Ask.rest) this.wakeAll()
      this.letGo()
    }
    if (ask !== Ask.push) return
    this.clocks.set(worker, (this.clocks.get(worker) ?? 0) + 1)
    if (this.staleness === 0) this.round.set(worker, request)
    else this.apply([request])
    const turn = new Promise<void>((resolve) => this.waiting.set(worker, resolve))
    this.letGo()
    await turn
  }

  private get layout() {
    return { variables: [{ name: 'part', val: this.variable }], length: this.variable.size }
  }

  /** An epoch begins when all rest: no worker's first step is taken for a late one of the epoch before. */
  private wakeAll(): void {
    for (let worker = 0; worker < this.workers; worker++) this.clocks.set(worker, 0)
  }

  private letGo(): void {
    if (this.staleness === 0) {
      if ([...this.clocks.keys()].some((worker) => !this.round.has(worker))) return
      const ordered = [...this.round].sort(([one], [other]) => one - other)
      this.round.clear()
      if (ordered.length > 0) this.apply(ordered.map(([, request]) => request))
    }
    const slowest = Math.min(...this.clocks.values())
    for (const [worker, go] of this.waiting) {
      if (this.staleness > 0 && this.clocks.get(worker)! - slowest > this.staleness) continue
      this.waiting.delete(worker)
      go()
    }
  }

  /** One step of the optimizer, by the mean over the rows; none where one of them is to be left out. */
  private apply(requests: readonly Float32Array[]): void {
    const rows = requests.reduce((sum, request) => sum + request[At.rows]!, 0)
    if (rows === 0 || requests.some((request) => request[At.broken] === 1)) return
    const gradient = new Float32Array(this.variable.size)
    for (const request of requests) {
      const own = request[At.rows]!
      if (own === rows) gradient.set(request.subarray(HEAD))
      else if (own > 0) for (let at = 0; at < gradient.length; at++) gradient[at]! += request[HEAD + at]! * (own / rows)
    }
    this.setRate(requests[0]![At.rate]!)
    const tensor = this.tf.tensor1d(gradient)
    this.optimizer.applyGradients([{ name: this.variable.name, tensor }])
    tensor.dispose()
    this.known = undefined
  }

  /** A callback on a worker may have changed it. */
  private setRate(rate: number): void {
    const own = this.optimizer as unknown as { learningRate: number; setLearningRate?: (rate: number) => void }
    if (rate === 0 || Math.fround(own.learningRate) === rate) return
    if (own.setLearningRate) own.setLearningRate(rate)
    else own.learningRate = rate
  }
}
