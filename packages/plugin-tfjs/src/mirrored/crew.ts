import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads'
import { GangflowError } from '@gangflow/core'
import type { FromReplica, Gone, ReplicaSettings, ReplicaStart, ToldError, ToReplica, WatchStart } from './messages.js'

/** Why a replica failed. */
interface Failure {
  readonly rank: number
  readonly how: string
  readonly error?: ToldError
}

/** The others gave up because of it, and say so: that is never the reason. */
const echoes = new Set(['E_TF_RANK_LOST', 'E_TF_CALL_MISMATCH', 'E_TF_RANK_LEFT'])
export const isEcho = (error: unknown): boolean => echoes.has(String((error as { code?: unknown } | undefined)?.code))

/** The threads of replicas 1 and up, seen from replica 0. */
export class Crew {
  private readonly watcher: Worker
  private readonly ports: readonly MessagePort[]
  private readonly watching: MessagePort
  private readonly failures: Failure[] = []
  private readonly built = new Map<number, number>()
  private held = 1
  private wake: (() => void) | undefined
  private ended: Promise<unknown> | undefined

  constructor(settings: ReplicaSettings) {
    const channels = Array.from({ length: settings.share.size - 1 }, () => new MessageChannel())
    const own = new MessageChannel()
    const replicas = channels.map(
      ({ port2 }, at): ReplicaStart => ({ role: 'replica', ...settings, rank: at + 1, port: port2 }),
    )
    const start: WatchStart = { role: 'watch', port: own.port2, replicas }
    this.watcher = new Worker(new URL('./replica.js', import.meta.url), {
      workerData: start,
      transferList: [own.port2, ...channels.map(({ port2 }) => port2)],
      execArgv: [],
      name: 'gangflow replicas',
    })
    this.watcher.on('error', (error) => this.note({ rank: 1, how: `could not be started: ${error.message}` }))
    this.ports = channels.map(({ port1 }) => port1)
    this.watching = own.port1
    this.ports.forEach((port, at) => {
      port.on('message', (message: FromReplica) => this.heard(at + 1, message))
    })
    this.watching.on('message', (gone: Gone) => this.note(gone))
    this.hold(false)
  }

  /** Whether the program stays alive for it: as long as more have said so than have taken it back. */
  hold(is: boolean): void {
    this.held += is ? 1 : -1
    if (this.ended || this.held !== (is ? 1 : 0)) return
    for (const one of [this.watcher, this.watching, ...this.ports]) is ? one.ref() : one.unref()
  }

  send(message: ToReplica): void {
    for (const port of this.ports) port.postMessage(message)
  }

  /** Settles when every replica has so many models. Rejects with `E_TF_REPLICA`. */
  async hasBuilt(models: number): Promise<void> {
    for (;;) {
      if (this.failures.length > 0) throw this.failure()
      if (this.ports.every((_, at) => (this.built.get(at + 1) ?? -1) >= models)) return
      await new Promise<void>((resolve) => (this.wake = resolve))
    }
  }

  /** What went wrong in a call, by now; it is forgotten then. */
  failure(): GangflowError | undefined {
    for (const [port, rank] of [[this.watching, 0] as const, ...this.ports.map((port, at) => [port, at + 1] as const)])
      for (let next = receiveMessageOnPort(port); next; next = receiveMessageOnPort(port))
        if (port === this.watching) this.note(next.message as Gone)
        else this.heard(rank, next.message as FromReplica)
    const failures = this.failures.splice(0)
    const [first] = [...failures.filter(({ error }) => !isEcho(error)), ...failures]
    return first && replicaFailed(first)
  }

  async end(): Promise<void> {
    this.watcher.ref()
    this.ended ??= this.watcher.terminate()
    await this.ended
    for (const port of [this.watching, ...this.ports]) port.close()
  }

  private heard(rank: number, message: FromReplica): void {
    if (message.k === 'built') this.built.set(rank, message.models)
    else this.note({ rank, how: 'failed', error: message.error })
    this.wake?.()
  }

  private note(failure: Failure): void {
    if (this.ended) return
    this.failures.push(failure)
    this.wake?.()
  }
}

function replicaFailed({ rank, how, error }: Failure): GangflowError {
  const cause = error && Object.assign(new Error(error.message), error)
  return new GangflowError(
    {
      code: 'E_TF_REPLICA',
      what: `replica ${rank} ${how}${error ? `: ${error.name}: ${error.message}` : ''}`,
      fix: error
        ? "its stack is that of this error's cause; the next call begins with new replicas"
        : 'see whether the function calls process.exit(); the next call begins with new replicas',
      rank,
    },
    cause === undefined ? {} : { cause },
  )
}
