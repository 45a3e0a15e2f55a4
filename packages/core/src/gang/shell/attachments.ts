import type { Duplex } from 'node:stream'
import type { Listener } from '../contract.js'
import { readToken } from '../transport/token.js'
import { listenUnix } from '../transport/unix.js'

/** Where the streams of processes arrive that the keeper started by `attach`: each says its token and which it is. */
export class Attachments {
  readonly #awaited = new Map<string, (stream: Duplex) => void>()
  readonly #listener: Listener

  private constructor(
    readonly socket: string,
    listener: Listener,
  ) {
    this.#listener = listener
    void (async () => {
      for await (const { stream } of listener) this.#take(stream)
    })()
  }

  static async open(socket: string): Promise<Attachments> {
    return new Attachments(socket, await listenUnix(socket))
  }

  /** The streams of a process, by their letters; rejects when the signal aborts before all have come. */
  async streams(token: string, letters: readonly string[], signal: AbortSignal): Promise<Duplex[]> {
    const come = letters.map(
      (letter) =>
        new Promise<Duplex>((resolve, reject) => {
          const name = `${token} ${letter}`
          this.#awaited.set(name, resolve)
          const aborted = () => {
            this.#awaited.delete(name)
            reject(signal.reason)
          }
          if (signal.aborted) aborted()
          else signal.addEventListener('abort', aborted, { once: true })
        }),
    )
    const settled = await Promise.allSettled(come)
    const failed = settled.find((one) => one.status === 'rejected')
    if (!failed) return settled.map((one) => (one as PromiseFulfilledResult<Duplex>).value)
    for (const one of settled) if (one.status === 'fulfilled') one.value.destroy()
    throw failed.reason
  }

  close(): Promise<void> {
    return this.#listener.close()
  }

  #take(stream: Duplex): void {
    readToken(stream, (name) => {
      const whose = this.#awaited.get(name)
      this.#awaited.delete(name)
      if (whose) whose(stream)
      else stream.destroy()
    })
  }
}
