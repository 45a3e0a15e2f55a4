import { type CapturedFunction, captureFunction } from '@gangflow/core/parallel'
import { type BackendName, backends } from '../backends/names.js'
import type { Tf } from '../backends/tf.js'
import type { ThreadCollectives } from '../collectives/threads.js'
import { saveTraining } from '../strategies/checkpoint.js'
import { Crew } from './crew.js'
import { mirroredError } from './errors.js'
import type { ReplicaSettings } from './messages.js'
import type { Mirror } from './mirror.js'

/** The other replicas, whoever they are: those that died are replaced by others, which build the same and go on from replica 0. */
export class Replicas {
  crew: Crew | undefined
  private readonly scopes: { readonly build: Promise<CapturedFunction>; readonly models: number }[] = []
  /** Scopes that the crew has built. */
  private sent = 0
  private started: Promise<Crew> | undefined
  private dropping: Promise<void> | undefined

  constructor(
    private readonly tf: Tf,
    private readonly collectives: ThreadCollectives,
    private readonly settings: Omit<ReplicaSettings, 'backend'>,
    private readonly mirrors: readonly Mirror[],
  ) {}

  /** Models of all scopes. */
  get models(): number {
    return this.scopes.at(-1)?.models ?? 0
  }

  /** The crew, where it has built all. */
  get present(): Crew | undefined {
    return this.sent < this.scopes.length ? undefined : this.crew
  }

  /** A function that has built its models here. */
  add(build: () => unknown): void {
    const captured = captureFunction(build)
    captured.catch(() => {})
    this.scopes.push({ build: captured, models: this.mirrors.length })
    // While the program gets its data ready, the other replicas begin.
    if (this.settings.share.size > 1) this.ready().catch(() => {})
  }

  /** The crew, with all that was built. */
  ready(): Promise<Crew> {
    const before = this.started?.catch(() => {}) ?? Promise.resolve()
    this.started = before.then(() => this.bring())
    return this.started
  }

  /** Of a crew that has failed. */
  drop(crew: Crew): void {
    if (this.crew !== crew) return
    this.crew = undefined
    this.dropping = crew.end()
  }

  async end(): Promise<void> {
    await this.started?.catch(() => {})
    await this.crew?.end()
    await this.dropping
  }

  private async bring(): Promise<Crew> {
    const isNew = this.crew === undefined
    this.crew ??= await this.start()
    const { crew } = this
    crew.hold(true)
    try {
      for (; this.sent < this.scopes.length; this.sent++) {
        const { build, models } = this.scopes[this.sent]!
        crew.send({ k: 'scope', build: await build })
        await crew.hasBuilt(models)
      }
    } catch (error) {
      this.drop(crew)
      throw error
    } finally {
      crew.hold(false)
    }
    if (isNew)
      for (const { number, model, hasTrained } of this.mirrors)
        if (hasTrained) crew.send({ k: 'restore', model: number, saved: await saveTraining(model, 0) })
    return crew
  }

  private async start(): Promise<Crew> {
    await this.dropping
    this.collectives.renew()
    this.sent = 0
    return new Crew({ ...this.settings, backend: this.backend() })
  }

  private backend(): BackendName {
    const registered = this.tf.getBackend()
    const found = Object.entries(backends).find(([, { registered: one }]) => one === registered)
    if (found) return found[0] as BackendName
    throw mirroredError(
      `the backend of this thread is ${registered || 'not chosen'}`,
      'choose one first: await openBackend({ folder: process.cwd() })',
    )
  }
}
