import { once } from 'node:events'
import { type FileHandle, open } from 'node:fs/promises'
import { StringDecoder } from 'node:string_decoder'

/** Bytes of a log's end that are kept. */
const KEPT = 1024 * 1024
const PIECE = 256 * 1024

/** What a job's driver writes, as it is written: it runs on the control, and so do we. */
export class JobLog {
  #file: FileHandle | undefined
  #at = 0
  readonly #decoder = new StringDecoder('utf8')
  readonly #kept: string[] = []
  #length = 0
  #turn: Promise<void> = Promise.resolve()

  constructor(private readonly path: string) {}

  /** Its last 1 MiB. */
  get text(): string {
    return this.#kept.join('').slice(-KEPT)
  }

  /**
   * Prints what has come, as far as it had come when this was called: whoever writes faster than it is read does not
   * keep the caller from asking whether the job has ended. Waits while nobody takes what is printed.
   */
  show(signal: AbortSignal): Promise<void> {
    const turn = this.#turn.then(() => this.#show(signal))
    this.#turn = turn.catch(() => {})
    return turn
  }

  async #show(signal: AbortSignal): Promise<void> {
    this.#file ??= await open(this.path).catch(() => undefined)
    if (!this.#file) return
    const { size } = await this.#file.stat()
    while (this.#at < size && !signal.aborted) {
      const buffer = Buffer.allocUnsafe(Math.min(PIECE, size - this.#at))
      const { bytesRead } = await this.#file.read(buffer, 0, buffer.length, this.#at)
      if (bytesRead === 0) return
      this.#at += bytesRead
      const piece = buffer.subarray(0, bytesRead)
      this.#keep(this.#decoder.write(piece))
      if (!process.stdout.write(piece)) await once(process.stdout, 'drain', { signal })
    }
  }

  async close(): Promise<void> {
    await this.#file?.close().catch(() => {})
  }

  #keep(text: string): void {
    this.#kept.push(text)
    this.#length += text.length
    while (this.#length - this.#kept[0]!.length >= KEPT) this.#length -= this.#kept.shift()!.length
  }
}
