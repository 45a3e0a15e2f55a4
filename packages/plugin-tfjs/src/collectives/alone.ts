import { Caller, type Prepared } from './caller.js'
import { CLOSED, errorOf } from './failure.js'

/** One rank: every result is what was given. */
export class Alone extends Caller {
  readonly transport = 'sockets'
  private closed = false

  protected ready(): void {
    if (this.closed) throw errorOf(CLOSED)
  }
  protected async perform<T>(call: Prepared<T>, _timeoutMs: number, signal: AbortSignal | undefined): Promise<T> {
    signal?.throwIfAborted()
    return call.finish()
  }
  protected performSync<T>(call: Prepared<T>): T {
    return call.finish()
  }
  async close(): Promise<void> {
    this.closed = true
  }
}
