import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'
import { type Duration, milliseconds } from '@gangflow/core'
import type { Variable } from '@tensorflow/tfjs'
import { findPackages } from '../backends/packages.js'
import { prepareNode } from '../backends/shim.js'
import type { Tf } from '../backends/tf.js'
import { shareThreads, ThreadCollectives } from '../collectives/threads.js'
import { registerKernels } from '../kernels.js'
import type { Model } from '../strategies/model.js'
import { MultiWorkerMirroredStrategy } from '../strategies/multi-worker.js'
import { checkOptions, type StrategyOptions } from '../strategies/options.js'
import { broadcastWeights } from '../strategies/same-model.js'
import { carry } from './carried.js'
import { type Crew, isEcho } from './crew.js'
import { elsewhere, mirroredError } from './errors.js'
import type { Method } from './messages.js'
import { Mirror } from './mirror.js'
import { Replicas } from './replicas.js'

export interface MirroredOptions extends StrategyOptions {
  /** Default: the processors that this process may use. */
  readonly replicas?: number
  /** Folder of the program, whose TensorFlow.js is used. Default: the current one. */
  readonly folder?: string
  /** How long a replica waits for the others in each exchange. Default 10 minutes. */
  readonly timeout?: Duration
}

/** A scope that is open. */
interface Scope {
  /** Variables that were there before it. */
  readonly before: ReadonlySet<Variable>
  readonly first: number
}

/**
 * Synchronous data-parallel training over threads of this process: the function given to `scope` builds and compiles a
 * model in every replica, and what `scope` returns is replica 0. That model's `fit`, `fitDataset` and `trainOnBatch`
 * train all replicas, each on its rows of every batch; `evaluate` and `predict` of more rows than a batch are shared out,
 * too. Needs no gang; in one it uses the member's cores.
 *
 * The function travels to the other threads as one of `parallelMap` does, with copies of the variables that it uses. All
 * replicas compute on the backend of this thread. Where a replica fails or dies, a call ends with `E_TF_REPLICA`; the next
 * one begins with new replicas that go on from replica 0.
 */
export class MirroredStrategy {
  readonly numReplicasInSync: number
  private readonly tf: Tf
  private readonly collectives: ThreadCollectives
  private readonly inner: MultiWorkerMirroredStrategy
  private readonly mirrors: Mirror[] = []
  private readonly replicas: Replicas
  private scopeOpen: Scope | undefined
  private calls = 0
  private busy: Method | undefined
  /** Settles with the training that is under way. */
  private underWay: Promise<void> | undefined
  private closing: Promise<void> | undefined

  /** Throws `E_TF_MIRRORED`, `E_TF_DECORATOR` (an option), `E_TF_MISSING`, `E_TF_COPIES`. */
  constructor({
    replicas = availableParallelism(),
    folder = process.cwd(),
    timeout,
    ...options
  }: MirroredOptions = {}) {
    if (!Number.isInteger(replicas) || replicas < 1)
      throw mirroredError(`MirroredStrategy was told ${replicas} replicas`, 'give a number of threads, 1 or more')
    checkOptions(options, 'MirroredStrategy')
    this.numReplicasInSync = replicas
    const timeoutMs = timeout === undefined ? undefined : milliseconds(timeout)
    prepareNode()
    const { tfjs } = findPackages(folder, 'cpu')
    this.tf = createRequire(tfjs)(tfjs) as Tf
    if (this.tf.findBackendFactory('wasm') !== null) registerKernels(this.tf)
    const share = shareThreads(replicas)
    this.collectives = new ThreadCollectives(share, 0, timeoutMs)
    const settings = { share, folder, options, ...(timeoutMs === undefined ? {} : { timeoutMs }) }
    this.replicas = new Replicas(this.tf, this.collectives, settings, this.mirrors)
    this.inner = new MultiWorkerMirroredStrategy(this.tf, this.collectives, options, {
      adopted: (model) => this.adopted(model),
      others: () => this.replicas.crew,
    })
  }

  /**
   * Runs a function that builds and compiles a model (or several), which may be asynchronous, here and in every other
   * replica. Throws `E_TF_MIRRORED` for a model that was built elsewhere; what cannot be captured is told by the first
   * training (`E_MAP_CAPTURE`).
   */
  scope<T>(build: () => T): T {
    this.checkOpen()
    if (this.scopeOpen) throw mirroredError('a scope was opened within another', 'await the one before')
    const { registeredVariables } = this.tf.engine()
    this.scopeOpen = { before: new Set(Object.values(registeredVariables)), first: this.mirrors.length }
    let made: T | undefined
    try {
      made = this.inner.scope(build)
      if (made instanceof Promise)
        return made.then((model) => this.built(build, model)).finally(() => this.closeScope()) as T
      return this.built(build, made) as T
    } finally {
      if (!(made instanceof Promise)) this.closeScope()
    }
  }

  /** Waits for a training that is under way, then ends the other replicas' threads. What `scope` returned stays as it is, and trains no more. */
  close(): Promise<void> {
    this.closing ??= (async () => {
      await this.underWay
      await this.replicas.end()
      await this.collectives.close()
    })()
    return this.closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  // What a Mirror asks.

  /** A training of all replicas; `given` is what the others are told. */
  async train<T>(mirror: Mirror, method: Method, given: unknown, own: (call: number) => Promise<T>): Promise<T> {
    this.checkOpen()
    if (this.scopeOpen)
      throw mirroredError(
        `${method} was called within scope`,
        'let the function build and compile the model, and train what scope returns',
      )
    if (this.busy)
      throw mirroredError(
        `${method} was called while ${this.busy} of the same strategy is under way`,
        'await the one before',
      )
    if (this.numReplicasInSync === 1) return own(0)
    this.busy = method
    let over = () => {}
    this.underWay = new Promise((resolve) => (over = resolve))
    let crew: Crew | undefined
    try {
      crew = await this.replicas.ready()
      crew.hold(true)
      mirror.hasTrained = true
      const number = this.begin(crew, mirror, method, given, false)
      let outcome: Outcome<T>
      try {
        outcome = { value: await own(number) }
      } catch (error) {
        outcome = { error }
        crew.send({ k: 'over', number })
      }
      return this.settle(crew, mirror, outcome)
    } finally {
      this.busy = undefined
      crew?.hold(false)
      over()
    }
  }

  /** A call that blocks: of all replicas where they are there, else of this one alone. */
  together<T>(mirror: Mirror, method: Method, given: unknown, all: () => T, alone: () => T): T {
    const crew = this.replicas.present
    if (this.numReplicasInSync === 1 || this.closing || this.busy || !crew) return alone()
    const sync = mirror.hasMoved()
    this.begin(crew, mirror, method, given, sync)
    let outcome: Outcome<T>
    try {
      if (sync) broadcastWeights(this.tf, this.collectives, mirror.model.weights)
      outcome = { value: all() }
    } catch (error) {
      outcome = { error }
    }
    return this.settle(crew, mirror, outcome)
  }

  /** What a dataset gave, to all others. */
  pass(number: number, given: unknown): void {
    this.replicas.crew?.send({ k: 'batch', number, given: carry(this.tf, given, 'a batch') })
  }

  private begin(crew: Crew, { number: model }: Mirror, method: Method, given: unknown, sync: boolean): number {
    this.calls += 1
    crew.send({ k: 'call', number: this.calls, model, method, given: carry(this.tf, given, method), sync })
    return this.calls
  }

  /** The end of a call, at which all replicas meet: one that has failed alone is known by that. */
  private settle<T>(crew: Crew, mirror: Mirror, outcome: Outcome<T>): T {
    let broken: unknown
    try {
      this.collectives.allGatherSync(Uint8Array.of('error' in outcome ? 1 : 0))
    } catch (error) {
      broken = error
    }
    const failure = crew.failure()
    if (broken !== undefined) this.replicas.drop(crew)
    mirror.note()
    if ('error' in outcome && !isEcho(outcome.error)) throw outcome.error
    if (failure) throw failure
    if ('error' in outcome) throw outcome.error
    if (broken !== undefined) throw broken
    return outcome.value
  }

  // Scopes and replicas.

  private adopted(model: Model): void {
    try {
      if (!this.scopeOpen)
        throw elsewhere(model, 'was compiled outside of scope', 'compile it in the function that is given to scope')
      this.check(model)
    } catch (error) {
      // It would wait for replicas that do not have it.
      for (const method of ['fit', 'fitDataset', 'trainOnBatch'] as const) model[method] = () => Promise.reject(error)
      throw error
    }
    this.mirrors.push(new Mirror(this.mirrors.length, this.tf, this.collectives, model, this))
  }

  private check(model: Model): void {
    const old = model.weights?.find(({ val }) => this.scopeOpen!.before.has(val))
    if (old)
      throw elsewhere(
        model,
        `was built elsewhere: its variable '${old.originalName}' was there before the scope`,
        'build or load it in the function that is given to scope, which runs in every replica',
      )
  }

  private built<T>(build: () => unknown, made: T): T {
    const first = this.scopeOpen!.first
    if (made instanceof this.tf.LayersModel) {
      const model = made as unknown as Model
      this.check(model)
      const isOurs = this.mirrors.slice(first).some((mirror) => mirror.is(model))
      if (!isOurs) throw elsewhere(model, 'is not compiled', 'compile it in the function that is given to scope')
    }
    this.replicas.add(build)
    return made
  }

  private closeScope(): void {
    this.scopeOpen = undefined
    // Of a scope that failed, the other replicas have no models.
    this.mirrors.length = this.replicas.models
  }

  private checkOpen(): void {
    if (this.closing) throw mirroredError('MirroredStrategy is closed', 'close() it after the last training')
  }
}

type Outcome<T> = { readonly value: T } | { readonly error: unknown }
