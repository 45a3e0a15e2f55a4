import { type MessagePort, receiveMessageOnPort, type Worker } from 'node:worker_threads'
import type { GangflowError } from '@gangflow/core'
import { Caller, type Prepared } from './caller.js'
import { CLOSED, errorOf } from './failure.js'
import type { Arena } from './memory.js'
import { BELL, DONE, FAILED, type FailureFacts, type FromWorker, HEARTBEAT, type ToWorker } from './worker/protocol.js'

/** A blocked thread looks this often whether the worker still runs, which moves its heartbeat four times a second. */
const LOOK_MS = 5000
const MOST_LOOKS = 6

interface Pending {
  /** Settles when the call has, either way. */
  readonly over: Promise<void>
  settle(): void
  fail(error: GangflowError): void
}

/** Collectives by a thread that owns the sockets, seen from the thread that calls. */
export class SocketCollectives extends Caller {
  readonly transport = 'sockets'
  private sequence = 0
  private readonly pending = new Map<number, Pending>()
  private failure: FailureFacts | undefined
  /** Why the person gave up, where this rank did. */
  private reason: unknown
  private closing: Promise<void> | undefined
  private closed: (() => void) | undefined

  constructor(
    rank: number,
    size: number,
    arena: Arena,
    timeoutMs: number | undefined,
    private readonly worker: Worker,
    private readonly port: MessagePort,
    private readonly state: Int32Array,
    signal: AbortSignal | undefined,
  ) {
    super(rank, size, arena, timeoutMs)
    port.on('message', (message: FromWorker) => this.heard(message))
    port.unref()
    // Its end is told by `exit`, whatever the reason.
    worker.on('error', () => {})
    worker.once('exit', () => this.ended())
    const aborted = () => this.abandon(this.sequence + 1, signal!.reason)
    signal?.addEventListener('abort', aborted, { once: true })
    worker.once('exit', () => signal?.removeEventListener('abort', aborted))
    if (signal?.aborted) aborted()
  }

  protected ready(): void {
    if (this.closing) throw errorOf(CLOSED)
    if (Atomics.load(this.state, FAILED) !== 0 && !this.failure) this.hearAll()
    if (this.failure) throw this.error(this.failure)
  }

  protected perform<T>(call: Prepared<T>, timeoutMs: number, signal: AbortSignal | undefined): Promise<T> {
    if (signal?.aborted) {
      call.finish()
      return Promise.reject(signal.reason)
    }
    const sequence = this.post(call, timeoutMs, false)
    const aborted = () => this.abandon(sequence, signal!.reason)
    signal?.addEventListener('abort', aborted, { once: true })
    if (this.pending.size === 0) this.port.ref()
    return new Promise<T>((resolve, reject) => {
      let tell = () => {}
      const settled = new Promise<void>((done) => (tell = done))
      const over = () => {
        tell()
        signal?.removeEventListener('abort', aborted)
        this.pending.delete(sequence)
        if (this.pending.size === 0) this.port.unref()
      }
      this.pending.set(sequence, {
        over: settled,
        settle: () => {
          over()
          resolve(call.finish())
        },
        fail: (error) => {
          over()
          reject(error)
        },
      })
    })
  }

  protected performSync<T>(call: Prepared<T>, timeoutMs: number): T {
    const sequence = this.post(call, timeoutMs, true)
    const { state } = this
    let [beat, looks] = [Atomics.load(state, HEARTBEAT), 0]
    for (;;) {
      const bell = Atomics.load(state, BELL)
      // Done comes first: a call that is done is no failure, whatever happened right after.
      if (((Atomics.load(state, DONE) - sequence) | 0) >= 0) return call.finish()
      if (Atomics.load(state, FAILED) !== 0) {
        this.hearAll()
        throw this.error(this.failure!)
      }
      if (Atomics.wait(state, BELL, bell, LOOK_MS) !== 'timed-out') continue
      const now = Atomics.load(state, HEARTBEAT)
      looks = now === beat ? looks + 1 : 0
      beat = now
      if (looks >= MOST_LOOKS) this.ended()
      if (this.failure) throw this.error(this.failure)
    }
  }

  close(): Promise<void> {
    this.closing ??= this.leave()
    return this.closing
  }

  private async leave(): Promise<void> {
    await Promise.all([...this.pending.values()].map(({ over }) => over))
    this.port.ref()
    const said = new Promise<void>((resolve) => (this.closed = resolve))
    this.send({ type: 'close' })
    await said
    this.port.close()
    await this.worker.terminate()
  }

  private post<T>(call: Prepared<T>, timeoutMs: number, blocking: boolean): number {
    const sequence = ++this.sequence
    this.send({ type: 'call', sequence, shape: call.shape, at: call.at, timeoutMs, blocking })
    return sequence
  }

  private abandon(sequence: number, reason: unknown): void {
    if (this.failure || this.closing) return
    this.reason = reason
    this.send({ type: 'abandon', sequence, why: reason instanceof Error ? reason.message : String(reason) })
  }

  private send(message: ToWorker): void {
    this.port.postMessage(message)
  }

  /** What the worker has said while this thread could not listen. */
  private hearAll(): void {
    for (let next = receiveMessageOnPort(this.port); next; next = receiveMessageOnPort(this.port))
      this.heard(next.message as FromWorker)
  }

  private heard(message: FromWorker): void {
    if (message.type === 'done') this.pending.get(message.sequence)?.settle()
    else if (message.type === 'failed') this.fail(message.facts)
    else if (message.type === 'closed') this.closed?.()
  }

  private fail(facts: FailureFacts): void {
    this.failure ??= facts
    for (const one of [...this.pending.values()]) one.fail(this.error(facts))
  }

  private ended(): void {
    this.closed?.()
    this.fail({
      code: 'E_TF_WORKER',
      what: `the thread of the collectives on rank ${this.rank} ended, or runs no more`,
      fix: 'see whether the process ran out of memory; else report it as a mistake of @gangflow/plugin-tfjs',
      rank: this.rank,
    })
  }

  private error(facts: FailureFacts): GangflowError {
    return errorOf(facts, facts.code === 'E_TF_CALL_ABORTED' && facts.rank === this.rank ? this.reason : undefined)
  }
}
