import type { Duplex } from 'node:stream'
import type { Listener } from '../contract.js'
import { listenUnix } from '../transport/unix.js'

/** Milliseconds that a new connection has to say whose it is. */
const TOKEN_MS = 10_000
const LIMIT = 128

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
    let held = Buffer.alloc(0)
    const timer = setTimeout(() => stream.destroy(), TOKEN_MS)
    const read = (chunk: Buffer) => {
      held = Buffer.concat([held, chunk])
      const at = held.indexOf(10)
      if (at < 0 && held.length < LIMIT) return
      clearTimeout(timer)
      stream.off('data', read)
      stream.pause()
      const name = held.subarray(0, Math.max(at, 0)).toString()
      const whose = this.#awaited.get(name)
      this.#awaited.delete(name)
      if (!whose) return void stream.destroy()
      const rest = held.subarray(at + 1)
      if (rest.length > 0) stream.unshift(rest)
      whose(stream)
    }
    stream.on('data', read)
    stream.once('close', () => clearTimeout(timer))
  }
}
