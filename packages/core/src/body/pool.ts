import type { BodyProcess } from './body-process.js'
import type { BodySpec } from './contract.js'

export interface PoolOptions {
  /** Starts a body; the pool decides when. */
  start(spec: BodySpec): BodyProcess
  /** Milliseconds that a spare body waits for a task. Default 15 s. */
  readonly idleMs?: number
}

interface Idle {
  readonly body: BodyProcess
  readonly key: string
  /** The step that it served, for a body that may only take that step again. */
  readonly step: string | undefined
  readonly timer: NodeJS.Timeout
}

export interface Taken {
  readonly body: BodyProcess
  /** Started ahead of need, or served before. */
  readonly warm: boolean
}

/**
 * Bodies without a task: spares, started ahead of need, and bodies that wait for another item of their step. Only
 * one whose spec is equal in all parts (environment and flags too) may take a task: nothing that is read at a
 * process's start, or while the flow's modules load, can then differ.
 */
export class BodyPool {
  readonly #options: Required<PoolOptions>
  #idle: Idle[] = []
  #closed = false

  constructor(options: PoolOptions) {
    this.#options = { idleMs: 15_000, ...options }
  }

  /** A body for one task; with `step`, one that served that step before is welcome. */
  take(spec: BodySpec, step?: string): Taken {
    const key = keyOf(spec)
    const found =
      (step !== undefined && this.#idle.find((idle) => idle.key === key && idle.step === step)) ||
      this.#idle.find((idle) => idle.key === key && idle.step === undefined)
    if (!found) return { body: this.#options.start(spec), warm: false }
    this.#leave(found)
    return { body: found.body, warm: true }
  }

  /** Has at least `count` spares of this spec. */
  prepare(spec: BodySpec, count: number): void {
    if (this.#closed) return
    const key = keyOf(spec)
    const ready = this.#idle.filter((idle) => idle.key === key && idle.step === undefined).length
    for (let missing = count - ready; missing > 0; missing -= 1) this.#add(this.#options.start(spec), key)
  }

  /** Keeps a body that ended a task of `step` cleanly for another one. */
  keep(body: BodyProcess, step: string): void {
    if (this.#closed) retire(body)
    else this.#add(body, keyOf(body.spec), step)
  }

  /** Ends all that wait. */
  close(): void {
    this.#closed = true
    for (const idle of [...this.#idle]) this.#retire(idle)
  }

  #add(body: BodyProcess, key: string, step?: string): void {
    const timer = setTimeout(() => this.#retire(idle), this.#options.idleMs)
    timer.unref()
    const idle: Idle = { body, key, step, timer }
    this.#idle.push(idle)
    const lost = () => this.#leave(idle)
    body.peer.then((peer) => peer.closed.then(lost), lost)
  }

  #leave(idle: Idle): void {
    clearTimeout(idle.timer)
    this.#idle = this.#idle.filter((other) => other !== idle)
  }

  #retire(idle: Idle): void {
    this.#leave(idle)
    retire(idle.body)
  }
}

/** Ends a body that has no task: by a word where it can hear one, else by force. */
export function retire(body: BodyProcess): void {
  body.peer.then(
    (peer) => peer.event('bye'),
    () => {},
  )
  const timer = setTimeout(() => body.stop({ graceMs: 500 }), 2000)
  body.exited.finally(() => clearTimeout(timer)).catch(() => {})
}

const specKeys = new WeakMap<BodySpec, string>()

/** Equal for specs that give equal processes. */
export function keyOf(spec: BodySpec): string {
  const known = specKeys.get(spec)
  if (known !== undefined) return known
  const { bundle, core, file } = spec.compiled
  const env = Object.entries(spec.env).sort(([a], [b]) => (a < b ? -1 : 1))
  const key = JSON.stringify([bundle, core, file, spec.execArgv ?? [], env])
  specKeys.set(spec, key)
  return key
}
